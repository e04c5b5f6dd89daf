// The store crashes at any change of anything that writes: what was there is there, and the next runs succeed.
import TestSupport
import Testing

@Suite struct CrashTests {
  @Test(arguments: CrashedRun.allCases)
  func whateverIsCutOffHarmsNothingThatWasThere(run: CrashedRun) throws {
    let world = try CrashWorld(run)
    // The order of changes differs a little from run to run, with the workers: a few more than were counted.
    for change in 1...(try world.countChanges() + 2) {
      // None of those under way happened, the first one alone, or (of some) others, in turn.
      for effective in [0, 1] + (change.isMultiple(of: 3) ? [2 + change / 3 % 2] : []) {
        let brief = CrashingStore.Brief.allCases[(change + effective) % CrashingStore.Brief.allCases.count]
        try world.crash(at: change, effective: UInt8(effective), brief)
      }
    }
  }
}
