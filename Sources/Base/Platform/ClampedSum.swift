extension Int64 {
  /// The sum, or the largest or smallest number where it is beyond that: times in records can be any number.
  package func clampedSum(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other > 0 ? .max : .min) : sum
  }
}

extension UInt64 {
  /// The sum, or the largest number where it is larger than that. Sparse files have up to 2^63 bytes each, which cost
  /// whoever makes them nothing, and records hold what their writers put there: sums of such numbers end no run.
  package func clampedSum(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }

  /// Adds with `clampedSum`.
  package mutating func addClamped(_ other: UInt64) { self = clampedSum(other) }

  /// The nearest number to one that may be too large or negative.
  package init(clamping number: Double) {
    self = number >= 0x1p64 ? .max : number > 0 ? UInt64(number) : 0
  }
}
