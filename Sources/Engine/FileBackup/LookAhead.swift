internal import LocalFiles
internal import Platform
internal import SnapshotTree
internal import Synchronization

/// Threads that look into the directories that the walk comes to next: so that the processors share what there is to
/// look at, and a disk has more than one question to answer. What they do not get to, the walk does itself.
final class LookAhead: Sendable {
  /// A directory that was seen, and not looked into yet.
  fileprivate struct Upcoming: Sendable {
    let number: UInt64
    let name: [UInt8]
    /// Without the slash in front; all that are in one directory share it.
    let parentPath: [UInt8]
    let base: SnapshotNode?
    let parent: OpenDirectory
    let parentStatus: FileStatus
    /// About how many bytes it takes; the last of a directory stands for the path that they share.
    var memory: Int

    var path: [UInt8] { parentPath.isEmpty ? name : parentPath + [0x2F] + name }
  }
  fileprivate struct State {
    /// The next one of the walk is the last.
    var upcoming: [Upcoming] = []
    var upcomingMemory = 0
    var running: Set<UInt64> = []
    var ready: [UInt64: DirectoryLook] = [:]
    var readyMemory = 0
    /// Of those that are running, what nobody will take.
    var unwanted: Set<UInt64> = []
    /// Enough is ready; nobody looks further until half of it was taken.
    var isResting = false
    var waiting = 0
    /// What the walk waits for.
    var wanted: UInt64?
    /// What the walk itself is at: that goes first.
    var shared: SharedLook?
    var isClosed = false
  }
  /// Each of those that are ready holds a descriptor.
  fileprivate static let readyMax = 64
  fileprivate static let readyMemoryMax = 4 << 20
  /// Larger directories are left to the walk, which has one at a time.
  private static let namesMax = 1 << 16
  fileprivate static let upcomingMemoryMax = 4 << 20

  private let looker: SourceLooker
  private let lastNumber = Atomic<UInt64>(0)
  private let state = Monitor(State())
  private let workers = Monitor<[Worker]>([])

  init(_ looker: SourceLooker) { self.looker = looker }

  /// Whoever starts the threads also ends them, with `close`.
  func start(threads: Int) {
    workers.withLock { workers in
      for number in 0..<threads {
        guard let worker = Worker(ifThereIsRoom: "yester-look-\(number)", { [unowned self] in serve() }) else { return }
        workers.append(worker)
      }
    }
  }

  /// Ends the threads.
  func close() {
    state.update { $0.isClosed = true }
    for worker in workers.withLock({ $0 }) { worker.join() }
    workers.withLock { $0 = [] }
  }

  /// Takes on the directories that were seen in another, and numbers them.
  func announce(_ look: inout DirectoryLook, path: [UInt8]) {
    let found = number(&look, path)
    guard !found.isEmpty else { return }
    let wakes = state.withLock { state in
      state.add(found, of: path)
      return state.waiting > 0 && !state.isResting
    }
    if wakes { state.notifyAll() }
  }

  /// Looks at the names of a large directory from `place` on, together with the threads, and numbers the directories
  /// among them.
  func look(on look: inout DirectoryLook, from place: Int, path: [UInt8], base: SnapshotNode?) {
    look.hold([], from: place)
    let places = place..<min(look.names.count, place + SourceLooker.entriesMax)
    let shared = SharedLook(looker, look, places, path: path, base: base)
    let wakes = state.withLock { state in
      state.shared = shared
      return state.waiting > 0
    }
    if wakes { state.notifyAll() }
    shared.work()
    look.hold(shared.wait(), from: place)
    state.withLock { $0.shared = nil }
    announce(&look, path: path)
  }

  /// What a directory has shown; nil when the caller is to look himself. Each is taken, in the order of the walk.
  func take(_ number: UInt64) -> DirectoryLook? {
    while true {
      switch turn(number) {
      case .ready(let look): return look
      case .none: return nil
      // Somebody is at it: what comes after it is looked at meanwhile, rather than nothing.
      case .other(let upcoming): look(into: upcoming)
      }
    }
  }

  private enum Turn {
    case ready(DirectoryLook)
    case other(Upcoming)
    case none
  }

  private func turn(_ number: UInt64) -> Turn {
    var wakes = false
    let turn: Turn = state.wait { state in
      state.wanted = nil
      if let look = state.removeReady(number) {
        wakes = state.goOn()
        return .ready(look)
      }
      if state.running.contains(number) {
        if !state.isResting, let other = state.next() { return .other(other) }
        state.wanted = number
        return nil
      }
      // It is the last of them, or close to it.
      if let place = state.upcoming.lastIndex(where: { $0.number == number }) { state.removeUpcoming(at: place) }
      return Turn.none
    }
    if wakes { state.notifyAll() }
    return turn
  }

  /// Of a look that is given up nothing is taken that was found by it.
  func forget(_ look: DirectoryLook) {
    let wakes = state.withLock { state in
      var open = look.entries.compactMap(\.number)
      var numbers = Set(open)
      while let number = open.popLast() {
        if let below = state.removeReady(number)?.entries.compactMap(\.number) {
          open += below
          numbers.formUnion(below)
        }
      }
      state.unwanted.formUnion(numbers.intersection(state.running))
      if !numbers.isEmpty { state.upcoming.removeAll { numbers.contains($0.number) } }
      state.upcomingMemory = state.upcoming.reduce(0) { $0 + $1.memory }
      return state.goOn()
    }
    if wakes { state.notifyAll() }
  }

  /// Whether the walk comes to one path before another: what is in a directory comes before what follows on it.
  fileprivate static func isBefore(_ path: [UInt8], _ other: [UInt8]) -> Bool {
    let order = { (byte: UInt8) in byte == 0x2F ? 0 : byte }
    return path.lexicographicallyPrecedes(other) { order($0) < order($1) }
  }

  // MARK: The threads

  private enum Job {
    case directory(Upcoming)
    case part(SharedLook)
  }

  private func serve() {
    while let job = next() {
      switch job {
      case .directory(let upcoming): look(into: upcoming)
      case .part(let shared): shared.work()
      }
    }
  }

  private func look(into upcoming: Upcoming) {
    // What fails here the walk will try for itself, and report.
    let look = upcoming.parent.descriptor.flatMap { parent in
      try? SourceReader.open(upcoming.name, parent, Descriptor.directoryFlags)
    }.flatMap {
      try? looker.look(
        into: $0, path: upcoming.path, above: upcoming.parentStatus, base: upcoming.base, namesMax: Self.namesMax)
    }
    finish(upcoming, look)
  }

  private func next() -> Job? {
    var isWaiting = false
    return state.wait { state -> Job?? in
      if isWaiting { state.waiting -= 1 }
      isWaiting = false
      if state.isClosed { return .some(nil) }
      if let shared = state.shared, shared.hasMore { return .part(shared) }
      if !state.isResting, let next = state.next() { return .directory(next) }
      state.waiting += 1
      isWaiting = true
      return nil
    } ?? nil
  }

  private func finish(_ upcoming: Upcoming, _ look: DirectoryLook?) {
    var look = look
    var found: [Upcoming] = []
    if var numbered = look {
      found = number(&numbered, upcoming.path)
      look = numbered
    }
    let wakes = state.withLock { state in
      state.running.remove(upcoming.number)
      if state.unwanted.remove(upcoming.number) != nil { return false }
      state.add(found, of: upcoming.path)
      if let look {
        state.ready[upcoming.number] = look
        state.readyMemory += look.memory
        if state.ready.count >= Self.readyMax || state.readyMemory >= Self.readyMemoryMax { state.isResting = true }
      }
      return state.wanted == upcoming.number || (state.waiting > 0 && !state.isResting && !found.isEmpty)
    }
    if wakes { state.notifyAll() }
  }

  /// Gives the directories in a directory their numbers.
  private func number(_ look: inout DirectoryLook, _ path: [UInt8]) -> [Upcoming] {
    var found: [Upcoming] = []
    for (place, entry) in look.entries.enumerated() {
      guard case .directory = entry.finding else { continue }
      let number = lastNumber.add(1, ordering: .relaxed).newValue
      look.setNumber(number, at: place)
      found.append(
        Upcoming(
          number: number, name: entry.name, parentPath: path,
          base: entry.base, parent: look.directory, parentStatus: look.status, memory: entry.memory))
    }
    if let last = found.indices.last { found[last].memory += path.count }
    return found
  }
}

extension LookAhead.State {
  /// Has the caller look into the first of those that nobody looks into.
  fileprivate mutating func next() -> LookAhead.Upcoming? {
    guard !upcoming.isEmpty else { return nil }
    let next = removeUpcoming(at: upcoming.count - 1)
    running.insert(next.number)
    return next
  }

  @discardableResult
  fileprivate mutating func removeUpcoming(at place: Int) -> LookAhead.Upcoming {
    let removed = upcoming.remove(at: place)
    upcomingMemory -= removed.memory
    return removed
  }

  fileprivate mutating func removeReady(_ number: UInt64) -> DirectoryLook? {
    guard let look = ready.removeValue(forKey: number) else { return nil }
    readyMemory -= look.memory
    return look
  }

  /// Ends the rest when half of what was ready is gone; whether somebody is to be woken for that.
  fileprivate mutating func goOn() -> Bool {
    guard isResting, ready.count <= LookAhead.readyMax / 2, readyMemory <= LookAhead.readyMemoryMax / 2 else {
      return false
    }
    isResting = false
    return waiting > 0
  }

  /// Puts the directories found in the one at `path` where the walk will come to them: behind what comes before that
  /// one, in front of what comes after it.
  fileprivate mutating func add(_ found: [LookAhead.Upcoming], of path: [UInt8]) {
    let memory = found.reduce(0) { $0 + $1.memory }
    guard upcomingMemory + memory <= LookAhead.upcomingMemoryMax else { return }
    upcomingMemory += memory
    var place = upcoming.count
    while place > 0, LookAhead.isBefore(upcoming[place - 1].path, path) { place -= 1 }
    upcoming.insert(contentsOf: found.reversed(), at: place)
  }
}
