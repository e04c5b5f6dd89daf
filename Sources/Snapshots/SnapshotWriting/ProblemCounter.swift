package import Reporting

/// Counts what a run could not do, and ends it at the first such thing where that is asked for. One thread.
package final class ProblemCounter {
  private let isStrict: Bool
  private let report: (PathProblem) -> Void
  /// All of them, with those of missing sources.
  package private(set) var count = 0
  package private(set) var missing = 0

  package init(isStrict: Bool, _ report: @escaping (PathProblem) -> Void) {
    self.isStrict = isStrict
    self.report = report
  }

  /// Throws when the run is strict, and the problem a failure.
  package func take(_ problem: PathProblem) throws {
    if problem.kind.isFailure { count += 1 }
    if problem.kind == .missing { missing += 1 }
    report(problem)
    guard isStrict, problem.kind.isFailure else { return }
    throw YesterError(
      .failed, "Not everything could be backed up (the reason is above)",
      advice: "No snapshot was made, as --strict demands.")
  }

  /// Counts and reports what the repository has lost. What is there of the source is in the snapshot all the same: no
  /// reason to end even a strict run, which is what brings back the most.
  package func tell(ofDamage message: String) {
    count += 1
    report(PathProblem(.damaged, [], message))
  }

  /// The error of a run that has nothing to store.
  package func nothing(isExcluded: Bool) -> YesterError {
    isExcluded
      ? YesterError(
        .failed, "All that was to be backed up is excluded", advice: "No snapshot was made. Check the exclude patterns."
      )
      : YesterError(
        .failed, "Nothing of what was to be backed up could be read (the reasons are above)",
        advice: "No snapshot was made. Check the paths.")
  }
}
