internal import LocalFiles
internal import Platform
internal import SnapshotTree
internal import Synchronization

/// Threads that scan the directories that the walk comes to next: so that the processors share the work, and a disk has
/// more than one question to answer. What they do not get to, the walk does itself.
final class ScanPrefetcher: Sendable {
  /// A directory that was seen, and not scanned yet.
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
    var ready: [UInt64: DirectoryScan] = [:]
    var readyMemory = 0
    /// Of those that are running, what nobody will take.
    var unwanted: Set<UInt64> = []
    /// Enough is ready; nobody scans further until half of it was taken.
    var isResting = false
    var waiting = 0
    /// What the walk waits for.
    var wanted: UInt64?
    /// What the walk itself is at: that goes first.
    var shared: SharedScan?
    var isClosed = false
  }
  /// Each of those that are ready holds a descriptor.
  fileprivate static let readyMax = 64
  fileprivate static let readyMemoryMax = 4 << 20
  /// Larger directories are left to the walk, which has one at a time.
  private static let namesMax = 1 << 16
  fileprivate static let upcomingMemoryMax = 4 << 20

  private let scanner: DirectoryScanner
  private let lastNumber = Atomic<UInt64>(0)
  private let state = Monitor(State())
  private let workers = Monitor<[Worker]>([])

  init(_ scanner: DirectoryScanner) { self.scanner = scanner }

  /// Whoever starts the threads also ends them, with `close`.
  func start(threads: Int) {
    workers.withLock { workers in
      for number in 0..<threads {
        guard let worker = Worker(ifThereIsRoom: "yester-scan-\(number)", { [unowned self] in serve() }) else { return }
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
  func announce(_ scan: inout DirectoryScan, path: [UInt8]) {
    let found = number(&scan, path)
    guard !found.isEmpty else { return }
    let wakes = state.withLock { state in
      state.add(found, of: path)
      return state.waiting > 0 && !state.isResting
    }
    if wakes { state.notifyAll() }
  }

  /// Scans the names of a large directory from `index` on, together with the threads, and numbers the directories
  /// among them.
  func scanNext(of scan: inout DirectoryScan, from index: Int, path: [UInt8], base: SnapshotNode?) {
    scan.hold([], from: index)
    let indices = index..<min(scan.names.count, index + DirectoryScanner.entriesMax)
    let shared = SharedScan(scanner, scan, indices, path: path, base: base)
    let wakes = state.withLock { state in
      state.shared = shared
      return state.waiting > 0
    }
    if wakes { state.notifyAll() }
    shared.work()
    scan.hold(shared.wait(), from: index)
    state.withLock { $0.shared = nil }
    announce(&scan, path: path)
  }

  /// What a directory has shown; nil when the caller is to scan it itself. Each is taken, in the order of the walk.
  func take(_ number: UInt64) -> DirectoryScan? {
    while true {
      switch turn(number) {
      case .ready(let scan): return scan
      case .none: return nil
      // Somebody is at it: what comes after it is scanned meanwhile, rather than nothing.
      case .other(let upcoming): scan(upcoming)
      }
    }
  }

  private enum Turn {
    case ready(DirectoryScan)
    case other(Upcoming)
    case none
  }

  private func turn(_ number: UInt64) -> Turn {
    var wakes = false
    let turn: Turn = state.wait { state in
      state.wanted = nil
      if let scan = state.removeReady(number) {
        wakes = state.goOn()
        return .ready(scan)
      }
      if state.running.contains(number) {
        if !state.isResting, let other = state.next() { return .other(other) }
        state.wanted = number
        return nil
      }
      // It is the last of them, or close to it.
      if let index = state.upcoming.lastIndex(where: { $0.number == number }) { state.removeUpcoming(at: index) }
      return Turn.none
    }
    if wakes { state.notifyAll() }
    return turn
  }

  /// Of a scan that is given up nothing is taken that was found by it.
  func forget(_ scan: DirectoryScan) {
    let wakes = state.withLock { state in
      var open = scan.entries.compactMap(\.number)
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
    case part(SharedScan)
    /// The walk is through.
    case end
  }

  private func serve() {
    while true {
      switch next() {
      case .directory(let upcoming): scan(upcoming)
      case .part(let shared): shared.work()
      case .end: return
      }
    }
  }

  private func scan(_ upcoming: Upcoming) {
    // What fails here the walk will try for itself, and report.
    let scan = upcoming.parent.descriptor.flatMap { parent in
      try? SourceReader.open(upcoming.name, parent, Descriptor.directoryFlags)
    }.flatMap {
      try? scanner.scan(
        $0, path: upcoming.path, above: upcoming.parentStatus, base: upcoming.base, namesMax: Self.namesMax)
    }
    finish(upcoming, scan)
  }

  private func next() -> Job {
    var isWaiting = false
    return state.wait { state -> Job? in
      if isWaiting { state.waiting -= 1 }
      isWaiting = false
      if state.isClosed { return .end }
      if let shared = state.shared, shared.hasMore { return .part(shared) }
      if !state.isResting, let next = state.next() { return .directory(next) }
      state.waiting += 1
      isWaiting = true
      return nil
    }
  }

  private func finish(_ upcoming: Upcoming, _ scan: DirectoryScan?) {
    var scan = scan
    var found: [Upcoming] = []
    if var numbered = scan {
      found = number(&numbered, upcoming.path)
      scan = numbered
    }
    let wakes = state.withLock { state in
      state.running.remove(upcoming.number)
      if state.unwanted.remove(upcoming.number) != nil { return false }
      state.add(found, of: upcoming.path)
      if let scan {
        state.ready[upcoming.number] = scan
        state.readyMemory += scan.memory
        if state.ready.count >= Self.readyMax || state.readyMemory >= Self.readyMemoryMax { state.isResting = true }
      }
      return state.wanted == upcoming.number || (state.waiting > 0 && !state.isResting && !found.isEmpty)
    }
    if wakes { state.notifyAll() }
  }

  /// Gives the directories in a directory their numbers.
  private func number(_ scan: inout DirectoryScan, _ path: [UInt8]) -> [Upcoming] {
    var found: [Upcoming] = []
    for (index, entry) in scan.entries.enumerated() {
      guard case .directory = entry.finding else { continue }
      let number = lastNumber.add(1, ordering: .relaxed).newValue
      scan.setNumber(number, at: index)
      found.append(
        Upcoming(
          number: number, name: entry.name, parentPath: path,
          base: entry.base, parent: scan.directory, parentStatus: scan.status, memory: entry.memory))
    }
    if let last = found.indices.last { found[last].memory += path.count }
    return found
  }
}

extension ScanPrefetcher.State {
  /// Has the caller scan the first of those that nobody scans.
  fileprivate mutating func next() -> ScanPrefetcher.Upcoming? {
    guard !upcoming.isEmpty else { return nil }
    let next = removeUpcoming(at: upcoming.count - 1)
    running.insert(next.number)
    return next
  }

  @discardableResult
  fileprivate mutating func removeUpcoming(at index: Int) -> ScanPrefetcher.Upcoming {
    let removed = upcoming.remove(at: index)
    upcomingMemory -= removed.memory
    return removed
  }

  fileprivate mutating func removeReady(_ number: UInt64) -> DirectoryScan? {
    guard let scan = ready.removeValue(forKey: number) else { return nil }
    readyMemory -= scan.memory
    return scan
  }

  /// Ends the rest when half of what was ready is gone; whether somebody is to be woken for that.
  fileprivate mutating func goOn() -> Bool {
    guard isResting, ready.count <= ScanPrefetcher.readyMax / 2, readyMemory <= ScanPrefetcher.readyMemoryMax / 2 else {
      return false
    }
    isResting = false
    return waiting > 0
  }

  /// Puts the directories found in the one at `path` where the walk will come to them: behind what comes before that
  /// one, in front of what comes after it.
  fileprivate mutating func add(_ found: [ScanPrefetcher.Upcoming], of path: [UInt8]) {
    let memory = found.reduce(0) { $0 + $1.memory }
    guard upcomingMemory + memory <= ScanPrefetcher.upcomingMemoryMax else { return }
    upcomingMemory += memory
    var index = upcoming.count
    while index > 0, ScanPrefetcher.isBefore(upcoming[index - 1].path, path) { index -= 1 }
    upcoming.insert(contentsOf: found.reversed(), at: index)
  }
}
