internal import Platform

/// What waits for a writer's workers: blocks to seal, which go first, and work that brings new ones.
final class JobQueue: Sendable {
  typealias Work = @Sendable (ChunkLane) -> Void

  private enum Next {
    case seal(PlainBlock)
    case work(Work)
    /// The queue is closed, and nothing is left in it.
    case end
  }
  private struct State {
    var blocks: [PlainBlock] = []
    var work: [Work] = []
    /// Workers that wait for a job.
    var idle = 0
    var busy = 0
    var isClosed = false
  }

  private let blocksMax: Int
  private let workMax: Int
  private let state = Monitor(State())

  init(workers: Int) {
    blocksMax = workers + 2
    workMax = 2 * workers
  }

  /// Does jobs until the queue is closed and empty; a worker's whole life.
  func serve(_ lane: ChunkLane) {
    while true {
      switch next() {
      case .seal(let block): lane.seal(block)
      case .work(let work): work(lane)
      case .end: return
      }
      state.update { $0.busy -= 1 }
    }
  }

  /// Waits for it.
  private func next() -> Next {
    var isWaiting = false
    let next: Next = state.wait { state in
      if isWaiting { state.idle -= 1 }
      isWaiting = false
      if !state.blocks.isEmpty {
        state.busy += 1
        return .seal(state.blocks.removeFirst())
      }
      if !state.work.isEmpty {
        state.busy += 1
        return .work(state.work.removeFirst())
      }
      if state.isClosed { return .end }
      state.idle += 1
      isWaiting = true
      return nil
    }
    // There is room for another job.
    state.notifyAll()
    return next
  }

  /// Waits for room; false when the queue is closed.
  func put(_ block: PlainBlock) -> Bool {
    put { [blocksMax] in
      guard $0.blocks.count < blocksMax else { return false }
      $0.blocks.append(block)
      return true
    }
  }

  /// Waits for room; false when the queue is closed.
  func put(_ work: @escaping Work) -> Bool {
    put { [workMax] in
      guard $0.work.count < workMax else { return false }
      $0.work.append(work)
      return true
    }
  }

  private func put(_ attempt: (inout State) -> Bool) -> Bool {
    let isAccepted = state.wait { state in
      if state.isClosed { return false }
      return attempt(&state) ? true : nil as Bool?
    }
    state.notifyAll()
    return isAccepted
  }

  /// Takes the block if a worker has nothing to do. Never waits.
  func offer(_ block: PlainBlock) -> Bool {
    let isTaken = state.withLock { state in
      guard !state.isClosed, state.idle > state.blocks.count + state.work.count else { return false }
      state.blocks.append(block)
      return true
    }
    if isTaken { state.notifyAll() }
    return isTaken
  }

  func waitUntilIdle() {
    _ = state.wait { $0.busy == 0 && $0.blocks.isEmpty && $0.work.isEmpty ? true : nil }
  }

  /// No more jobs come; those inside are done.
  func close() { state.update { $0.isClosed = true } }
}
