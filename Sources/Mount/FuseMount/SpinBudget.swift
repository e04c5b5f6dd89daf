/// How long a worker that has nothing to do looks for the next request before it goes to sleep.
///
/// To be woken costs about 40 µs; a client that copies small files sends its next request within 20. So spinning
/// pays while requests follow closely, and not at all otherwise. The rule is that of the kernel's halt polling
/// (virt/kvm/kvm_main.c, `grow_halt_poll_ns`): grow when the sleep was so short that spinning would have caught the
/// request, shrink when it was long. Times are nanoseconds.
struct SpinBudget {
  static let largest: Int64 = 100_000
  private static let smallest: Int64 = 2_000

  private let isAllowed: Bool
  private(set) var nanoseconds: Int64
  private var idleSince: Int64 = 0

  /// With one processor the client could not run while we spin.
  init(processors: Int) {
    isAllowed = processors > 1
    nanoseconds = isAllowed ? Self.largest : 0
  }

  /// The worker has finished a request.
  mutating func beginIdle(at now: Int64) { idleSince = now }

  /// `isShared`: another worker is looking, too, so this one gives up sooner.
  func mayGoOn(at now: Int64, isShared: Bool) -> Bool {
    now - idleSince < (isShared ? nanoseconds / 4 : nanoseconds)
  }

  /// The worker was woken by a request after having slept.
  mutating func wokeUp(at now: Int64) {
    guard isAllowed else { return }
    if now - idleSince < Self.largest * 3 / 2 {
      nanoseconds = Self.largest
    } else {
      nanoseconds = max(Self.smallest, nanoseconds / 2)
    }
  }
}
