internal import Platform
internal import RepositoryCore
internal import RepositoryFormat

/// Who is at work beside a run that reclaims space, and may be asked to be waited for.
///
/// A lease that two runs a day apart have found unchanged is passed over: its holder is gone, or sleeps, and what nobody
/// can read is held to the same. The day is measured by the clocks of those who reclaim, and by what they wrote into the
/// list of condemned packs: a clock that jumps ends the waiting too early, which costs somebody a run and nobody data.
struct OthersAtWork {
  static let passedOverSeconds: Int64 = 86_400

  /// Neither gone for certain nor passed over; the run's own lease left out.
  let living: [Leases.Found]
  let goneOrPassedOver: [Leases.Found]
  /// Of the living ones, for the next list.
  let sightings: [[UInt8]: CondemnedList.LeaseSighting]

  /// `own` is the id of the lease of the run that asks: another run of this very process is a stranger, too. `now` is in
  /// seconds since 1970.
  init(than own: [UInt8]?, in repository: Repository, _ list: CondemnedList, now: Int64) throws {
    var living: [Leases.Found] = []
    var gone: [Leases.Found] = []
    var sightings: [[UInt8]: CondemnedList.LeaseSighting] = [:]
    // Those that can be read come first: however many somebody has made up, these are not forgotten for them.
    for found in try Leases.list(repository) where found.id != own {
      let sighting = Self.sighting(of: found, list, now: now)
      let isPassedOver = age(of: sighting.since, now: now) >= Self.passedOverSeconds
      guard !found.isDead, !isPassedOver, living.count < Limits.listedLeasesMax else {
        gone.append(found)
        continue
      }
      living.append(found)
      sightings[found.id] = sighting
    }
    self.living = living
    goneOrPassedOver = gone
    self.sightings = sightings
  }

  private static func sighting(
    of found: Leases.Found, _ list: CondemnedList, now: Int64
  ) -> CondemnedList.LeaseSighting {
    guard let known = list.leases[found.id], known.state == found.state else {
      return CondemnedList.LeaseSighting(state: found.state, since: now)
    }
    return CondemnedList.LeaseSighting(state: known.state, since: min(known.since, now))
  }

  /// Those that may still use what a list has condemned. One that cannot be read may be anybody's.
  func holding(list number: UInt64) -> [Leases.Found] {
    living.filter { found in
      guard let record = found.record else { return true }
      switch record.purpose {
      case .backup, .mount, .read: return record.seen < number
      case .reclaim, .name: return false
      }
    }
  }

  /// Packs that backups under way have stored or build on, by the first 8 bytes of their ids: not needed by any snapshot
  /// yet, and not to be taken from them without need.
  var packsInUse: Set<UInt64> {
    living.reduce(into: []) { $0.formUnion($1.record?.packs ?? []) }
  }

  var reclaiming: [Leases.Found] { living.filter { $0.record?.purpose == .reclaim } }

  /// Whether nobody may be storing packs that no index names yet.
  var noneWrites: Bool {
    living.allSatisfy { found in
      switch found.record?.purpose {
      case .mount, .read, .name: true
      case .backup, .reclaim, nil: false
      }
    }
  }
}

/// Seconds from `since` to `now`, 0 for what lies in the future. For times that may be anything.
func age(of since: Int64, now: Int64) -> Int64 {
  let (age, overflow) = now.subtractingReportingOverflow(min(since, now))
  return overflow ? .max : age
}
