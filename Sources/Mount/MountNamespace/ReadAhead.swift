internal import SnapshotTree
internal import Platform
internal import RepositoryFormat
internal import Synchronization

/// Opens what a reader is about to ask for, on threads of its own: one processor decodes while another copies.
///
/// Who copies a tree reads its files in the order of their entry numbers, each from its beginning to its end. When a
/// reader has done that a few times, what follows is opened into the cache of blocks, some MiB ahead. Nothing is
/// opened for reads here and there. Errors are left for the reader to find.
final class ReadAhead: Sendable {
  /// A position in a snapshot's content: an entry and an offset in its file.
  fileprivate struct Position: Comparable {
    var number: UInt64
    var offset: UInt64
    static func < (a: Position, b: Position) -> Bool { (a.number, a.offset) < (b.number, b.offset) }
  }

  /// One reader who goes through a snapshot in order.
  fileprivate struct Stream {
    let id: UInt64
    let view: SnapshotView
    /// Behind what was read last.
    var read: Position
    /// Behind what was opened last.
    var opened: Position
    /// The file that was opened last, in whole or in part.
    var openedFile: UInt64
    /// Bytes that were opened and not read yet, about.
    var distance: UInt64 = 0
    /// Reads in order so far.
    var streak = 1
    var isAtEnd = false
    /// A thread is about to say what to open next.
    var isPlanning = false

    mutating func take(_ plan: Plan) {
      opened = max(opened, plan.at)
      openedFile = max(openedFile, plan.file)
      distance += plan.bytes
      isAtEnd = plan.isAtEnd
      isPlanning = false
    }
  }

  /// Chunks that one thread opens.
  fileprivate struct Plan {
    /// Behind the last of them.
    var at: Position
    /// The last file with content on the way.
    var file: UInt64
    var chunks: [(id: ObjectID, length: UInt64)] = []
    var bytes: UInt64 = 0
    var isAtEnd = false
  }

  private struct State {
    /// The one that read last comes first.
    var streams: [Stream] = []
    var nextID: UInt64 = 0
    var isEnding = false
  }

  private static let streamsMax = 8
  private static let threadsMax = 4
  private static let planSize: UInt64 = 512 << 10
  /// So many reads in order make a reader one who goes on.
  fileprivate static let streakMin = 2
  /// Entries between two files that follow each other: directories, links, empty files.
  fileprivate static let gapMax: UInt64 = 256
  /// The kernel's own read-ahead asks for so much at once, and some such requests may be answered out of order.
  fileprivate static let kernelReadAheadMin: UInt64 = 64 << 10
  fileprivate static let disorderMax: UInt64 = 4

  private let window: UInt64
  private let state = Monitor(State())
  private let isEnding = Atomic(false)
  private let threads = Mutex<[Worker]>([])

  /// `cacheSize` is that of the cache of blocks, in bytes: a part of it is used.
  init(cacheSize: Int) {
    window = UInt64(min(8 << 20, cacheSize / 4))
    // With one processor decoding ahead would only keep the reader from running.
    guard System.processorCount > 1 else { return }
    for number in 0..<min(System.processorCount, Self.threadsMax) {
      guard let thread = Worker(ifThereIsRoom: "yester-ahead-\(number)", { [self] in work() }) else { return }
      threads.withLock { $0.append(thread) }
    }
  }

  /// Ends the threads and waits for them: what they use must not be torn down under them.
  func close() {
    isEnding.store(true, ordering: .relaxed)
    state.update { $0.isEnding = true }
    for thread in threads.withLock({ $0 }) { thread.join() }
  }

  // MARK: What readers do

  /// A file's bytes were asked for.
  func didRead(_ number: UInt64, of view: SnapshotView, at offset: UInt64, count: Int) {
    let end = Position(number: number, offset: offset + UInt64(count))
    let isWanted = state.withLock { state -> Bool in
      guard
        let index = state.streams.firstIndex(where: {
          $0.view === view && $0.goesOn(number, offset, UInt64(count))
        })
      else {
        state.nextID += 1
        state.streams.insert(
          Stream(id: state.nextID, view: view, read: end, opened: end, openedFile: number), at: 0)
        if state.streams.count > Self.streamsMax { state.streams.removeLast() }
        return false
      }
      if index > 0 { state.streams.insert(state.streams.remove(at: index), at: 0) }
      state.streams[0].advance(to: end, count: UInt64(count))
      return state.streams[0].wantsMore(window, isRunning: false)
    }
    if isWanted { state.notifyAll() }
  }

  // MARK: The threads

  private func work() {
    while let stream = next() {
      let plan = plan(stream)
      state.update { state in
        guard let index = state.streams.firstIndex(where: { $0.id == stream.id }) else { return }
        state.streams[index].take(plan)
      }
      for (chunk, length) in plan.chunks where !isEnding.load(ordering: .relaxed) {
        guard (try? stream.view.content.chunk(chunk, length: length)) != nil else { break }
      }
    }
  }

  /// Waits until something should be opened; nil at the end. Nobody else plans for this stream until it has a plan.
  private func next() -> Stream? {
    func take(_ state: inout State, isRunning: Bool) -> Stream? {
      guard let index = state.streams.firstIndex(where: { $0.wantsMore(window, isRunning: isRunning) }) else {
        return nil
      }
      state.streams[index].isPlanning = true
      return state.streams[index]
    }
    // What was begun is filled up; otherwise it begins when half of the window has been read.
    if let running = state.withLock({ $0.isEnding ? nil : take(&$0, isRunning: true) }) { return running }
    return state.wait { state -> Stream?? in
      state.isEnding ? .some(nil) : take(&state, isRunning: false).map { .some($0) }
    }
  }

  /// What comes next in a stream: a large chunk, or small ones that together are about a block.
  private func plan(_ stream: Stream) -> Plan {
    var plan = Plan(at: stream.opened, file: stream.openedFile)
    do {
      let reader = stream.view.reader
      for _ in 0..<Self.gapMax where plan.bytes < Self.planSize {
        // Nobody who goes on beyond so many entries without data would be known again.
        guard plan.at.number - plan.file <= Self.gapMax, plan.at.number < reader.entryCount,
          let node = try reader.node(plan.at.number)
        else {
          plan.isAtEnd = true
          break
        }
        if case .file(let size, let content) = node.entry.body, plan.at.offset < size {
          plan.file = plan.at.number
          var end = size
          try stream.view.content.forEachPiece(of: content, size: size, from: plan.at.offset, once: true) {
            guard let chunk = $1.chunk else { return true }
            plan.chunks.append((chunk, $1.length))
            plan.bytes += $1.length
            end = $0 + $1.length
            return plan.bytes < Self.planSize
          }
          plan.at.offset = end
          if end < size { continue }
        }
        plan.at = Position(number: plan.at.number + 1, offset: 0)
      }
    } catch {
      plan.isAtEnd = true
    }
    // Nothing but holes: there is no end of looking for what to open.
    if plan.bytes == 0 { plan.isAtEnd = true }
    return plan
  }
}

extension ReadAhead.Stream {
  /// Whether a read is the next one of this reader.
  fileprivate func goesOn(_ number: UInt64, _ offset: UInt64, _ count: UInt64) -> Bool {
    if number == read.number {
      let disorder = count >= ReadAhead.kernelReadAheadMin ? count * ReadAhead.disorderMax : 0
      return offset <= read.offset + disorder && read.offset <= offset + disorder
    }
    return offset == 0 && number > read.number && number - read.number <= ReadAhead.gapMax
  }

  fileprivate mutating func advance(to end: ReadAhead.Position, count: UInt64) {
    streak += 1
    if end > read { read = end }
    distance -= min(distance, count)
    if opened <= read {
      opened = read
      openedFile = read.number
      distance = 0
      isAtEnd = false
    }
  }

  fileprivate func wantsMore(_ window: UInt64, isRunning: Bool) -> Bool {
    !isAtEnd && !isPlanning && streak >= ReadAhead.streakMin && distance < (isRunning ? window : window / 2)
  }
}
