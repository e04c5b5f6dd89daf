/// Estimates how much of a run is done and how long the rest takes, from what its parts have cost so far. Pure: it is
/// told what time it is.
///
/// Files cost time by their bytes and by being files: a hundred thousand small ones take as long as one that is much
/// larger than all of them. Both costs are measured while the run goes on, by least squares over stretches of a
/// second, older ones counting less. Where the stretches are too much alike to tell the two apart, the costs keep the
/// ratio that is usual. What has not come yet is taken to be slower than usual, too, when all else is, but less so: it may
/// be the disk, or it may be a line that only bytes go over. Together the costs always explain the time that has passed,
/// stalls included.
package struct ProgressEstimator: Sendable {
  /// What there is and what is done of it, counted from the beginning.
  package struct State: Sendable {
    package var seconds = 0.0
    package var entries: UInt64 = 0
    /// Bytes that were worked on.
    package var bytes: UInt64 = 0
    /// Bytes that cost no time: of files that were not opened, of holes.
    package var skippedBytes: UInt64 = 0
    /// Nil while it is not known.
    package var entriesTotal: UInt64?
    package var bytesTotal: UInt64?
    package init() {}
  }

  /// Usual costs in seconds, of which only the ratio matters.
  private static let usualEntryCost = 40e-6
  private static let usualByteCost = 2e-9
  private static let rowSeconds = 1.0
  /// How much the usual ratio weighs against what was measured.
  private static let priorWeight = 0.02
  private static let shortestMemorySeconds = 20.0
  /// Before that nothing can be said of the time left.
  private static let patienceSeconds = 2.0
  /// Over which a new estimate takes the place of the one before: a fifth of the time so far, within these bounds.
  private static let smoothingSeconds = 0.5...5.0
  package static let shareMax = 0.999

  /// Sums over the stretches so far. Work is measured in the seconds that it would take at the usual costs.
  private struct Sums {
    var seconds = 0.0
    var entryWork = 0.0
    var byteWork = 0.0
    var entrySquares = 0.0
    var byteSquares = 0.0
    var products = 0.0
    var entryTimes = 0.0
    var byteTimes = 0.0

    mutating func fade(_ factor: Double) {
      seconds *= factor
      entryWork *= factor
      byteWork *= factor
      entrySquares *= factor
      byteSquares *= factor
      products *= factor
      entryTimes *= factor
      byteTimes *= factor
    }
  }
  private var sums = Sums()
  private var last = State()
  private var rowStart = State()
  private var smoothedLeft: Double?

  /// 0 to `shareMax`; nil while the total is not known, or where there is more than was thought. It never goes back.
  package private(set) var share: Double?
  /// Seconds, at least one; nil while nothing can be said of it.
  package private(set) var secondsLeft: Double?
  /// Bytes a second that were worked on, and entries a second, of late.
  package private(set) var bytesPerSecond = 0.0
  package private(set) var entriesPerSecond = 0.0

  package init() {}

  /// Takes note of how far the run is now. States come in the order of their time.
  package mutating func update(_ now: State) {
    let passed = now.seconds - last.seconds
    last = now
    if now.seconds - rowStart.seconds >= Self.rowSeconds { endRow(now) }
    guard now.entriesTotal != nil || now.bytesTotal != nil else {
      (share, secondsLeft, smoothedLeft) = (nil, nil, nil)
      return
    }
    let (entriesLeft, bytesLeft) = Self.left(now)
    let isOverrun = entriesLeft == 0 && bytesLeft == 0
    let costs = self.costs()
    let done = Double(now.entries) * costs.entry + Double(now.bytes) * costs.byte
    let left = Double(entriesLeft) * costs.entry + bytesLeft * costs.byte
    if done + left > 0 {
      share = max(share ?? 0, isOverrun ? Self.shareMax : min(Self.shareMax, done / (done + left)))
    }
    if isOverrun || now.seconds < Self.patienceSeconds || sums.seconds == 0 {
      (secondsLeft, smoothedLeft) = (nil, nil)
      return
    }
    // What was said before runs down with the clock, and follows what is measured now little by little.
    if let before = smoothedLeft {
      let weight = min(1, passed / (now.seconds / 5).clamped(to: Self.smoothingSeconds))
      smoothedLeft = max(0, before - passed) * (1 - weight) + left * weight
    } else {
      smoothedLeft = left
    }
    secondsLeft = smoothedLeft.map { max(1, $0) }
  }

  /// What is still to be done: entries, and bytes that will have to be worked on, judging from how many were so far.
  private static func left(_ now: State) -> (entries: UInt64, bytes: Double) {
    func rest(_ total: UInt64?, _ done: UInt64) -> UInt64 { total.map { $0 > done ? $0 - done : 0 } ?? 0 }
    let (sum, isTooLarge) = now.bytes.addingReportingOverflow(now.skippedBytes)
    let seen = isTooLarge ? .max : sum
    let worked = seen > 0 ? Double(now.bytes) / Double(seen) : 1
    return (rest(now.entriesTotal, now.entries), Double(rest(now.bytesTotal, seen)) * worked)
  }

  private mutating func endRow(_ now: State) {
    let seconds = now.seconds - rowStart.seconds
    let memory = max(Self.shortestMemorySeconds, now.seconds / 3)
    sums.fade(max(0, 1 - seconds / memory))
    let entries = Double(now.entries) - Double(rowStart.entries)
    let bytes = Double(now.bytes) - Double(rowStart.bytes)
    let (entryWork, byteWork) = (entries * Self.usualEntryCost, bytes * Self.usualByteCost)
    sums.seconds += seconds
    sums.entryWork += entryWork
    sums.byteWork += byteWork
    sums.entrySquares += entryWork * entryWork
    sums.byteSquares += byteWork * byteWork
    sums.products += entryWork * byteWork
    sums.entryTimes += entryWork * seconds
    sums.byteTimes += byteWork * seconds
    entriesPerSecond = Self.follow(entriesPerSecond, entries / seconds, isFirst: rowStart.seconds == 0)
    bytesPerSecond = Self.follow(bytesPerSecond, bytes / seconds, isFirst: rowStart.seconds == 0)
    rowStart = now
  }

  private static func follow(_ old: Double, _ new: Double, isFirst: Bool) -> Double {
    isFirst ? new : old + (new - old) / 4
  }

  /// Seconds an entry and a byte.
  private func costs() -> (entry: Double, byte: Double) {
    let work = sums.entryWork + sums.byteWork
    guard work > 0 else { return (Self.usualEntryCost, Self.usualByteCost) }
    // How many times slower than usual everything is.
    let slowness = sums.seconds / work
    let prior = Self.priorWeight * (sums.entrySquares + sums.byteSquares) / 2
    // Of what was part of the work, that; of what was not, its root.
    func expected(_ own: Double) -> Double { own * 10 >= work ? slowness : slowness.squareRoot() }
    let (entryExpected, byteExpected) = (expected(sums.entryWork), expected(sums.byteWork))
    let (a, b, c) = (sums.entrySquares + prior, sums.byteSquares + prior, sums.products)
    let (p, q) = (sums.entryTimes + prior * entryExpected, sums.byteTimes + prior * byteExpected)
    let determinant = a * b - c * c
    var (entry, byte) = (slowness, slowness)
    if determinant > 0 {
      let root = slowness.squareRoot()
      let range = min(slowness, root) / 1000...max(slowness, root) * 1000
      entry = ((p * b - q * c) / determinant).clamped(to: range)
      byte = ((q * a - p * c) / determinant).clamped(to: range)
    }
    // Least squares see nothing of the time in which nothing moved.
    let explained = entry * sums.entryWork + byte * sums.byteWork
    let scale = explained > 0 ? sums.seconds / explained : 1
    return (entry * scale * Self.usualEntryCost, byte * scale * Self.usualByteCost)
  }
}

extension Double {
  fileprivate func clamped(to range: ClosedRange<Double>) -> Double {
    Swift.min(Swift.max(self, range.lowerBound), range.upperBound)
  }
}
