// Runs a compiled pattern over a path. No recursion and no allocation: a mismatch goes back to the last `*` of the
// component, or else to the last `**/`, and never further.
//
// That is enough. What follows a star matches best at its leftmost place, so an earlier star need not be tried again
// (R. Cox, "Glob Matching Can Be Simple And Fast Too", 2017). A `*` does not cross `/`, so once a slash has matched,
// the component before it is settled. And between two `**/` lies a fixed number of components, so the leftmost place
// is the best for them too. Time is at most components × pattern × path; hostile patterns cannot make it exponential.

struct GlobMatcher {
  let ops: UnsafeBufferPointer<GlobOp>
  /// The bracket expressions of this program, from its first.
  let sets: UnsafeBufferPointer<ByteSet>

  func matches(_ text: UnsafeRawBufferPointer) -> Bool {
    let slash = UInt8(ascii: "/")
    var op = 0
    var position = 0
    // Where to take up again: the step behind the wildcard, and the first byte that it did not swallow yet.
    var starOp = -1
    var starPosition = 0
    var directoriesOp = -1
    var directoriesPosition = 0

    while true {
      if op < ops.count {
        let step = ops[op]
        switch step {
        case .everything:
          return true
        case .star:
          op += 1
          starOp = op
          starPosition = position
          continue
        case .directories:
          op += 1
          directoriesOp = op
          directoriesPosition = position
          starOp = -1
          continue
        default:
          if position < text.count, accepts(step, text[position]) {
            if step == GlobOp(slash) { starOp = -1 }
            op += 1
            position += 1
            continue
          }
        }
      } else if position == text.count {
        return true
      }

      if starOp >= 0, starPosition < text.count, text[starPosition] != slash {
        starPosition += 1
        position = starPosition
        op = starOp
      } else if directoriesOp >= 0 {
        while directoriesPosition < text.count, text[directoriesPosition] != slash { directoriesPosition += 1 }
        guard directoriesPosition < text.count else { return false }
        directoriesPosition += 1
        position = directoriesPosition
        op = directoriesOp
        starOp = -1
      } else {
        return false
      }
    }
  }

  private func accepts(_ step: GlobOp, _ byte: UInt8) -> Bool {
    if step < 256 { return step == GlobOp(byte) }
    if step == .anyByte { return byte != UInt8(ascii: "/") }
    return sets[Int(step &- .firstSet)].contains(byte)
  }
}
