// The fuzzing program: libFuzzer (https://llvm.org/docs/LibFuzzer.html) over every parser that the driver has.
//
// `YESTER_FUZZ_TARGET` names the parser; all else is libFuzzer's command line. Two words of our own come instead of
// it: `targets` prints the names, `seeds FOLDER` writes valid inputs into a folder for each target. Scripts/fuzz knows
// all this.
internal import Glibc
internal import Platform

/// One parser with its inputs.
struct Target: Sendable {
  let name: String
  /// Must come to an end for any bytes, without a trap.
  let run: @Sendable (_ input: [UInt8]) throws -> Void
  /// Inputs to begin with, the same at every call.
  let seeds: @Sendable () throws -> [[UInt8]]

  init(
    _ name: String, seeds: @escaping @Sendable () throws -> [[UInt8]],
    run: @escaping @Sendable (_ input: [UInt8]) throws -> Void
  ) {
    self.name = name
    self.run = run
    self.seeds = seeds
  }

  static let all: [Target] = recordTargets + listingTargets + packTargets + textTargets + treeTargets

  static let chosen: Target = {
    let name = System.environment("YESTER_FUZZ_TARGET") ?? ""
    guard let target = all.first(where: { $0.name == name }) else {
      fatalError("YESTER_FUZZ_TARGET is \"\(name)\", which is none of: \(all.map(\.name).joined(separator: " "))")
    }
    return target
  }()
}

/// What must hold for every input; libFuzzer keeps the input that breaks it.
func expect(_ holds: Bool, _ property: @autoclosure () -> String) {
  if !holds { fatalError("broken: \(property())") }
}

/// Nil for input that is refused, as most is.
func accepted<Value>(_ body: () throws -> Value) -> Value? { try? body() }

@c(LLVMFuzzerTestOneInput)
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  // A copy of exactly this size: what reads beyond it is noticed.
  try? Target.chosen.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
  return 0
}

@c(LLVMFuzzerInitialize)
public func initialize(_: UnsafeMutableRawPointer?, _: UnsafeMutableRawPointer?) -> CInt {
  switch System.arguments.first {
  case "targets":
    for target in Target.all { print(target.name) }
    exit(0)
  case "seeds":
    do {
      try writeSeeds(into: System.arguments.dropFirst().first ?? "")
    } catch {
      fatalError("the seeds cannot be written: \(error)")
    }
    exit(0)
  default: return 0
  }
}

private func writeSeeds(into folder: String) throws {
  for target in Target.all {
    try Directory.makeAll("\(folder)/\(target.name)")
    for (number, seed) in try target.seeds().enumerated() {
      let path = "\(folder)/\(target.name)/seed-\(number)"
      try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644).write(seed)
    }
  }
}
