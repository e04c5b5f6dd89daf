// How fast the loop over bytes is, piece by piece. `Scripts/bench bytes` builds and runs this, and holds the numbers
// against what the libraries beneath say of themselves.
//
// Variables of the environment say what it works with: YESTER_BENCH_DATA names a file with the bytes, and
// YESTER_BENCH_SCRATCH a directory; the others are named where they are read.
import Benchmark
import Platform
import Reporting

/// Called by the code that the library generates. There is a process for each benchmark, which registers all of them.
let benchmarks: @Sendable () -> Void = {
  registerByteLoop()
  registerIndex()
}

/// Each iteration does the whole of the work once; what is reported is its time.
func register(_ name: String, _ body: @escaping () throws -> Void) {
  let configuration = Benchmark.Configuration(
    metrics: [.wallClock], timeUnits: .nanoseconds, warmupIterations: 2, maxDuration: .seconds(3),
    maxIterations: 10_000)
  Benchmark(name, configuration: configuration) { benchmark in
    do {
      try body()
    } catch {
      benchmark.error("\(error)")
    }
  }
}

/// What some benchmarks work with, made when the first of them runs: while it warms up.
final class Prepared<Value> {
  private let make: () throws -> Value
  private var made: Value?

  init(_ make: @escaping () throws -> Value) { self.make = make }

  var value: Value {
    get throws {
      if let made { return made }
      let new = try make()
      made = new
      return new
    }
  }
}

func setting(_ name: String) throws -> String {
  guard let value = System.environment(name) else { throw YesterError(.failed, "\(name) is not set") }
  return value
}
