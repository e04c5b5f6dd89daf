internal import Reporting
internal import Workflows

extension OutputOptions {
  /// Connects a workflow with the terminal and with standard error. What is shown before a change, and what is asked,
  /// the command adds.
  func interaction(list: EntryList? = nil) -> Interaction {
    var interaction = Interaction()
    interaction.stop = Termination.stop
    interaction.begin = { stage, progress in
      let display = ProgressDisplay(progress, self, verb: Self.verb(stage), list: list)
      return { display.finish() }
    }
    interaction.warn = { Output.note("yester: \($0)") }
    interaction.report = { problem in
      list?.flush()
      // Directories that are never entered need no words each night.
      if problem.kind != .skipped { Output.note("yester: \(printable(problem.path)): \(problem.message).") }
    }
    interaction.listing = list?.listing
    return interaction
  }

  private static func verb(_ stage: WorkflowStage) -> String {
    switch stage {
    case .backUp: "Backing up"
    case .verify: "Verifying"
    case .compare: "Comparing"
    case .makeRestorePoint: "Making a restore point"
    case .rollBack: "Rolling back"
    case .restore: "Restoring"
    case .prune: "Reclaiming space"
    case .repair: "Repairing"
    }
  }
}
