import TerminalText
import Testing

/// Runs through made-up work and looks at what the estimator says on the way, against what is true.
@Suite struct ProgressEstimatorTests {
  /// Part of a run: so many entries of so many bytes each, of which `worked` cost time.
  private struct Part {
    var entries: Int
    var bytes: Int
    var entryCost = 0.0
    var byteCost = 0.0
    var isSkipped = false
    var seconds: Double { Double(entries) * (entryCost + (isSkipped ? 0 : Double(bytes) * byteCost)) }
  }
  private struct Sample {
    let now: Double
    let share: Double?
    let left: Double?
    let trueLeft: Double
  }

  /// Samples four times a second.
  private func run(_ parts: [Part], hasTotals: Bool = true) -> [Sample] {
    var estimator = ProgressEstimator()
    var state = ProgressEstimator.State()
    if hasTotals {
      state.entriesTotal = UInt64(parts.reduce(0) { $0 + $1.entries })
      state.bytesTotal = UInt64(parts.reduce(0) { $0 + $1.entries * $1.bytes })
    }
    let end = parts.reduce(0) { $0 + $1.seconds }
    var out: [Sample] = []
    var time = 0.25
    while time < end {
      var passed = time
      var (entries, bytes, skipped) = (0.0, 0.0, 0.0)
      for part in parts {
        let share = part.seconds == 0 ? 1 : min(1, passed / part.seconds)
        passed = max(0, passed - part.seconds)
        entries += (Double(part.entries) * share).rounded(.down)
        let done = Double(part.entries * part.bytes) * share
        if part.isSkipped { skipped += done } else { bytes += done }
        if share < 1 { break }
      }
      state.seconds = time
      state.entries = UInt64(entries)
      state.bytes = UInt64(bytes)
      state.skippedBytes = UInt64(skipped)
      estimator.update(state)
      out.append(
        Sample(now: time, share: estimator.share, left: estimator.secondsLeft, trueLeft: end - time))
      time += 0.25
    }
    return out
  }

  private func expectSteady(_ samples: [Sample], within factor: Double, after: Double) {
    var lastShare = 0.0
    for sample in samples {
      let share = sample.share ?? 0
      #expect(share >= lastShare && share < 1)
      lastShare = share
      guard sample.now >= after, sample.trueLeft > 3 else { continue }
      guard let left = sample.left else {
        Issue.record("no estimate at \(sample.now) s")
        continue
      }
      #expect(left >= 1)
      #expect(
        left < sample.trueLeft * factor + 3 && left > sample.trueLeft / factor - 3,
        "at \(sample.now) s: said \(left), true \(sample.trueLeft)")
    }
  }

  @Test func equalFiles() {
    let samples = run([Part(entries: 100_000, bytes: 20_000, entryCost: 100e-6, byteCost: 10e-9)])
    expectSteady(samples, within: 1.1, after: 3)
    #expect(abs((samples[samples.count / 2].share ?? 0) - 0.5) < 0.02)
  }

  @Test func smallFilesBeforeLargeOnes() {
    let small = Part(entries: 200_000, bytes: 2_000, entryCost: 100e-6, byteCost: 5e-9)
    let large = Part(entries: 20, bytes: 200_000_000, entryCost: 100e-6, byteCost: 5e-9)
    expectSteady(run([small, large]), within: 2.5, after: 4)
    expectSteady(run([large, small]), within: 3.5, after: 4)
  }

  /// What was met: "99 %, 0 s left" when all bytes but few entries were there.
  @Test func aFewLargeFilesAreNotTheWholeRun() {
    let large = Part(entries: 12, bytes: 100_000_000, entryCost: 100e-6, byteCost: 2e-9)
    let small = Part(entries: 300_000, bytes: 0, entryCost: 100e-6)
    let samples = run([large, small])
    for sample in samples where sample.now > 3 && sample.trueLeft > 10 {
      #expect((sample.share ?? 0) < 0.75, "at \(sample.now) s")
      #expect((sample.left ?? 0) > sample.trueLeft / 3, "at \(sample.now) s")
    }
  }

  @Test func unchangedFilesCostNoBytes() {
    let old = Part(entries: 1_000_000, bytes: 50_000, entryCost: 15e-6, isSkipped: true)
    expectSteady(run([old]), within: 1.1, after: 3)
    let new = Part(entries: 1_000, bytes: 500_000, entryCost: 50e-6, byteCost: 10e-9)
    expectSteady(run([old, new, old]), within: 1.6, after: 3)
  }

  @Test func slowLinesAreBelieved() {
    // 100 KB/s, where an entry costs next to nothing.
    let slow = [
      Part(entries: 300, bytes: 4_000, entryCost: 50e-6, byteCost: 10e-6),
      Part(entries: 30, bytes: 100_000, entryCost: 50e-6, byteCost: 10e-6),
      Part(entries: 500, bytes: 3_000, entryCost: 50e-6, byteCost: 10e-6),
      Part(entries: 2, bytes: 2_000_000, entryCost: 50e-6, byteCost: 10e-6),
    ]
    expectSteady(run(slow), within: 2.5, after: 8)
  }

  @Test func stallsCountAsTime() {
    var estimator = ProgressEstimator()
    var state = ProgressEstimator.State()
    state.entriesTotal = 100
    state.bytesTotal = 100 << 20
    // Every ten seconds ten files at once, and nothing between.
    for tick in 1...200 {
      state.seconds = Double(tick) / 4
      state.entries = UInt64(tick / 40) * 10
      state.bytes = UInt64(tick / 40) * 10 << 20
      estimator.update(state)
    }
    #expect(((estimator.secondsLeft ?? 0) - 50).magnitude < 20)
  }

  @Test func nothingIsSaidWithoutATotalOrBeyondIt() {
    for sample in run([Part(entries: 10_000, bytes: 100, entryCost: 1e-3)], hasTotals: false) {
      #expect(sample.share == nil && sample.left == nil)
    }
    var estimator = ProgressEstimator()
    var state = ProgressEstimator.State()
    state.entriesTotal = 10
    state.bytesTotal = 10
    for tick in 1...40 {
      state.seconds = Double(tick) / 4
      state.entries = UInt64(tick)
      state.bytes = UInt64(tick)
      estimator.update(state)
    }
    #expect(estimator.secondsLeft == nil)
    #expect(estimator.share == ProgressEstimator.shareMax)
  }

  @Test func whatWasSaidDoesNotJump() {
    let samples = run([
      Part(entries: 50_000, bytes: 1_000, entryCost: 100e-6, byteCost: 5e-9),
      Part(entries: 10, bytes: 500_000_000, entryCost: 100e-6, byteCost: 5e-9),
      Part(entries: 50_000, bytes: 1_000, entryCost: 100e-6, byteCost: 5e-9),
    ])
    for (before, after) in zip(samples, samples.dropFirst()) {
      guard let old = before.left, let new = after.left else { continue }
      #expect(abs(new - old) < max(1, old * 0.25), "at \(after.now) s: \(old), then \(new)")
    }
  }
}
