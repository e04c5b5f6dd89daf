internal import Platform
internal import RepositoryFormat

/// Opens what a reader is about to ask for, on a thread of its own: one processor decodes while another copies.
///
/// Who copies a tree reads its files in the order of their entry numbers, each from its beginning to its end. When a
/// reader has done that a few times, what follows is opened into the cache of blocks, some MiB ahead. Nothing is
/// opened for reads here and there. Errors are left for the reader to find.
final class ReadAhead: Sendable {
  /// A place in a snapshot's content: an entry and an offset in its file.
  fileprivate struct Position: Comparable {
    var number: UInt64
    var offset: UInt64
    static func < (a: Position, b: Position) -> Bool { (a.number, a.offset) < (b.number, b.offset) }
  }

  /// One reader who goes through a snapshot in order.
  fileprivate struct Stream {
    let id: UInt64
    let view: Namespace.View
    let viewNumber: UInt64
    /// Behind what was read last.
    var read: Position
    /// Behind what was opened last.
    var opened: Position
    /// Bytes that were opened and not read yet, about.
    var distance: UInt64 = 0
    /// Reads in order so far.
    var streak = 1
    var isAtEnd = false
  }

  private struct State {
    /// The one that read last comes first.
    var streams: [Stream] = []
    var nextID: UInt64 = 0
    var isEnding = false
  }

  private static let streamsMax = 8
  /// So many reads in order make a reader one who goes on.
  fileprivate static let streakMin = 2
  /// Entries between two files that follow each other: directories, links, empty files.
  fileprivate static let gapMax: UInt64 = 256
  /// The kernel's own read-ahead may be answered out of order, within this many bytes.
  fileprivate static let disorderMax: UInt64 = 4 << 20

  private let window: UInt64
  private let state = Monitor(State())

  /// `cacheSize` is that of the cache of blocks, in bytes: a part of it is used.
  init(cacheSize: Int) {
    window = UInt64(min(8 << 20, cacheSize / 4))
    // With one processor decoding ahead would only keep the reader from running.
    guard System.processorCount > 1 else { return }
    _ = Worker("yester-ahead") { [state, window] in
      while let stream = Self.next(state, window) { Self.open(stream, state) }
    }
  }

  func close() { state.update { $0.isEnding = true } }

  // MARK: What readers do

  /// A file's bytes were asked for.
  func didRead(_ number: UInt64, of view: Namespace.View, viewNumber: UInt64, at offset: UInt64, count: Int) {
    let end = Position(number: number, offset: offset + UInt64(count))
    let isWanted = state.withLock { state -> Bool in
      guard let place = state.streams.firstIndex(where: { $0.viewNumber == viewNumber && $0.goesOn(number, offset) })
      else {
        state.nextID += 1
        state.streams.insert(
          Stream(id: state.nextID, view: view, viewNumber: viewNumber, read: end, opened: end), at: 0)
        if state.streams.count > Self.streamsMax { state.streams.removeLast() }
        return false
      }
      if place > 0 { state.streams.insert(state.streams.remove(at: place), at: 0) }
      state.streams[0].advance(to: end, count: UInt64(count))
      return state.streams[0].wantsMore(window, isRunning: false)
    }
    if isWanted { state.notifyAll() }
  }

  // MARK: The thread

  /// Waits until something should be opened; nil at the end.
  private static func next(_ state: Monitor<State>, _ window: UInt64) -> Stream? {
    // What was begun is filled up; otherwise it begins when half of the window has been read.
    if let running = state.withLock({ state in
      state.isEnding ? nil : state.streams.first { $0.wantsMore(window, isRunning: true) }
    }) {
      return running
    }
    return state.wait { state -> Stream?? in
      if state.isEnding { return .some(nil) }
      return state.streams.first { $0.wantsMore(window, isRunning: false) }.map { .some($0) }
    }
  }

  /// Opens the next chunk of a stream.
  private static func open(_ stream: Stream, _ state: Monitor<State>) {
    var at = stream.opened
    var bytes: UInt64 = 0
    var isAtEnd = false
    do {
      let reader = stream.view.reader
      search: for _ in 0..<gapMax {
        guard at.number < reader.entryCount, let node = try reader.node(at.number) else {
          isAtEnd = true
          break search
        }
        if case .file(let size, let content) = node.entry.body, at.offset < size {
          var end = size
          try stream.view.content.forEachPiece(of: content, size: size, from: at.offset) { start, piece in
            guard let chunk = piece.chunk else { return true }
            _ = try stream.view.content.chunk(chunk, length: piece.length)
            bytes = piece.length
            end = start + piece.length
            return false
          }
          at.offset = end
          if bytes > 0 { break search }
        }
        at = Position(number: at.number + 1, offset: 0)
      }
    } catch { isAtEnd = true }
    state.withLock { state in
      guard let place = state.streams.firstIndex(where: { $0.id == stream.id }) else { return }
      if at > state.streams[place].opened { state.streams[place].opened = at }
      state.streams[place].distance += bytes
      state.streams[place].isAtEnd = isAtEnd
    }
  }
}

extension ReadAhead.Stream {
  /// Whether a read is the next one of this reader.
  fileprivate func goesOn(_ number: UInt64, _ offset: UInt64) -> Bool {
    if number == read.number {
      return offset <= read.offset + ReadAhead.disorderMax && read.offset <= offset + ReadAhead.disorderMax
    }
    return offset == 0 && number > read.number && number - read.number <= ReadAhead.gapMax
  }

  fileprivate mutating func advance(to end: ReadAhead.Position, count: UInt64) {
    streak += 1
    if end > read { read = end }
    distance -= min(distance, count)
    if opened <= read {
      opened = read
      distance = 0
    }
  }

  fileprivate func wantsMore(_ window: UInt64, isRunning: Bool) -> Bool {
    !isAtEnd && streak >= ReadAhead.streakMin && distance < (isRunning ? window : window / 2)
  }
}
