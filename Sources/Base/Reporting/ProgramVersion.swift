/// The version of the programs. It stands here and nowhere else.
package enum ProgramVersion {
  package static let number = "0.1.0"
  /// What made a snapshot, as its record names it: `yester 0.1.0`.
  package static let text = "yester \(number)"
}
