// swift-tools-version: 6.2
// The targets, layer by layer, lowest first: Sources/LAYER/MODULE and Tests/LAYER/MODULETests. Dependencies point down
// only; Scripts/check-layers says which layer may use which, and fails when an import or a dependency breaks that.

import PackageDescription

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .treatAllWarnings(as: .error),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

func module(_ layer: String, _ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, path: "Sources/\(layer)/\(name)", swiftSettings: settings)
}

func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(
    name: name, dependencies: dependencies, path: "Sources/Programs/\(name)", swiftSettings: settings)
}

/// The tests of a module.
func tests(_ layer: String, _ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: dependencies, path: "Tests/\(layer)/\(name)Tests", swiftSettings: settings)
}

/// A library in C, by the name that pkg-config knows it by and that of Debian's package.
func library(_ layer: String, _ name: String, pkgConfig: String, package: String) -> Target {
  .systemLibrary(
    name: name, path: "Sources/\(layer)/\(name)", pkgConfig: pkgConfig, providers: [.apt([package])])
}

let package = Package(
  name: "yester",
  products: [
    .executable(name: "yester", targets: ["yester"]),
    .executable(name: "yesterfs", targets: ["yesterfs"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // MARK: Base
    .target(name: "CLinux", path: "Sources/Base/CLinux"),
    module("Base", "Platform", ["CLinux"]),
    module("Base", "Reporting", ["Platform"]),
    module("Base", "TerminalText", ["Platform"]),
    tests("Base", "Platform", ["Platform", "TestSupport"]),
    tests("Base", "Reporting", ["Reporting"]),
    tests("Base", "TerminalText", ["TerminalText"]),

    // MARK: Format
    library("Format", "COpenSSL", pkgConfig: "libcrypto", package: "libssl-dev"),
    library("Format", "CZstd", pkgConfig: "libzstd", package: "libzstd-dev"),
    module("Format", "RepositoryFormat", ["Platform"]),
    module("Format", "ChunkCodec", ["Platform", "COpenSSL", "CZstd", "RepositoryFormat"]),
    tests("Format", "RepositoryFormat", ["Platform", "RepositoryFormat", "TestSupport"]),
    tests("Format", "ChunkCodec", ["Platform", "RepositoryFormat", "ChunkCodec", "TestSupport"]),

    // MARK: Stores
    module("Stores", "ObjectStores", ["Platform", "Reporting", "RepositoryFormat", "ChunkCodec"]),
    module("Stores", "DirectoryStores", ["Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "ObjectStores"]),
    tests(
      "Stores", "ObjectStores",
      ["Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "ObjectStores", "TestSupport"]),
    tests(
      "Stores", "DirectoryStores",
      [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "ObjectStores", "DirectoryStores", "TestSupport",
      ]),

    // MARK: Repository
    module(
      "Repository", "RepositoryCore", ["Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "ObjectStores"]),
    module(
      "Repository", "RepositoryOpening",
      [
        "Platform", "Reporting", "ChunkCodec", "ObjectStores", "RepositoryCore",
      ]),
    tests(
      "Repository", "RepositoryCore",
      [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "ObjectStores", "DirectoryStores",
        "RepositoryCore", "RepositoryOpening", "TestSupport",
      ]),

    // MARK: Snapshots
    module("Snapshots", "SnapshotTree", ["Platform", "Reporting", "RepositoryFormat", "RepositoryCore"]),
    module(
      "Snapshots", "Documents",
      [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "RepositoryCore", "SnapshotTree",
      ]),
    module(
      "Snapshots", "SnapshotWriting",
      [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "RepositoryCore", "SnapshotTree",
      ]),
    tests("Snapshots", "SnapshotTree", ["Reporting", "RepositoryFormat", "SnapshotTree", "TestSupport"]),
    tests("Snapshots", "Documents", ["Platform", "Reporting", "RepositoryFormat", "SnapshotTree", "Documents"]),
    tests(
      "Snapshots", "SnapshotWriting",
      [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "RepositoryCore", "SnapshotTree",
        "SnapshotWriting", "TestSupport",
      ]),

    // MARK: Engine
    module(
      "Engine", "LocalFiles",
      [
        "Platform", "Reporting", "RepositoryFormat", "ObjectStores", "RepositoryCore", "SnapshotTree",
      ]),
    module(
      "Engine", "FileBackup",
      [
        "Platform", "Reporting", "RepositoryFormat", "RepositoryCore", "SnapshotTree", "SnapshotWriting",
        "LocalFiles",
      ]),
    module(
      "Engine", "Restoring",
      [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "RepositoryCore", "SnapshotTree", "LocalFiles",
      ]),
    module(
      "Engine", "Exploring",
      [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "RepositoryCore", "SnapshotTree", "LocalFiles",
      ]),
    module(
      "Engine", "Maintenance",
      [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "ObjectStores", "RepositoryCore", "SnapshotTree",
      ]),
    tests("Engine", "LocalFiles", ["Platform", "LocalFiles", "TestSupport"]),
    tests(
      "Engine", "FileBackup",
      [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "RepositoryCore", "SnapshotTree",
        "SnapshotWriting", "LocalFiles", "FileBackup", "TestSupport",
      ]),
    tests(
      "Engine", "Restoring",
      [
        "Platform", "Reporting", "RepositoryFormat", "ObjectStores", "RepositoryCore", "SnapshotTree", "LocalFiles",
        "Restoring", "TestSupport",
      ]),
    tests(
      "Engine", "Exploring",
      [
        "Platform", "Reporting", "RepositoryFormat", "RepositoryCore", "SnapshotTree", "Exploring", "TestSupport",
      ]),
    tests(
      "Engine", "Maintenance",
      [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "ObjectStores", "RepositoryCore", "SnapshotTree",
        "Exploring", "Maintenance", "TestSupport",
      ]),

    // MARK: Workflows
    module(
      "Workflows", "Workflows",
      [
        "Platform", "Reporting", "TerminalText", "RepositoryFormat", "ChunkCodec", "ObjectStores", "RepositoryCore",
        "RepositoryOpening", "SnapshotTree", "SnapshotWriting", "LocalFiles", "FileBackup", "Restoring",
        "Maintenance",
      ]),
    module(
      "Workflows", "ResultDocuments",
      [
        "Platform", "Reporting", "RepositoryFormat", "ObjectStores", "RepositoryCore", "SnapshotTree", "Documents",
        "SnapshotWriting", "FileBackup", "Restoring", "Exploring", "Maintenance", "Workflows",
      ]),
    tests(
      "Workflows", "Workflows",
      [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "ObjectStores", "DirectoryStores",
        "RepositoryCore", "RepositoryOpening", "SnapshotTree", "SnapshotWriting", "FileBackup", "Restoring",
        "Exploring", "Maintenance", "Workflows", "TestSupport",
      ]),

    // MARK: Mount
    library("Mount", "CFuse", pkgConfig: "fuse3", package: "libfuse3-dev"),
    module(
      "Mount", "MountNamespace",
      [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "ObjectStores", "RepositoryCore", "SnapshotTree",
        "Documents",
      ]),
    module("Mount", "FuseMount", ["Platform", "Reporting", "ChunkCodec", "SnapshotTree", "CFuse"]),
    tests(
      "Mount", "MountNamespace",
      [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "ObjectStores", "RepositoryCore", "SnapshotTree",
        "MountNamespace", "TestSupport",
      ]),
    tests("Mount", "FuseMount", ["CLinux", "Platform", "Reporting", "SnapshotTree", "FuseMount", "TestSupport"]),

    // MARK: Programs
    program(
      "yester",
      [
        "Platform", "Reporting", "TerminalText", "RepositoryFormat", "ChunkCodec", "ObjectStores", "DirectoryStores",
        "RepositoryCore", "RepositoryOpening", "SnapshotTree", "Documents", "SnapshotWriting", "LocalFiles",
        "FileBackup", "Restoring", "Exploring", "Maintenance", "Workflows", "ResultDocuments", argumentParser,
      ]),
    program(
      "yesterfs",
      [
        "Platform", "Reporting", "ChunkCodec", "ObjectStores", "DirectoryStores", "RepositoryOpening", "SnapshotTree",
        "CFuse", "MountNamespace", "FuseMount",
      ]),

    // MARK: Tests' own
    // What several targets of tests use. No program and no library may import it.
    .target(
      name: "TestSupport",
      dependencies: [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "ObjectStores", "RepositoryCore", "SnapshotTree",
      ],
      path: "Tests/Support/Swift",
      swiftSettings: settings
    ),
  ]
)

// The fuzzer is built by Scripts/fuzz alone, with instrumentation that nothing else has.
if Context.environment["YESTER_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(
      name: "Fuzz",
      dependencies: [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "ObjectStores", "RepositoryCore", "SnapshotTree",
        "MountNamespace", "FuseMount", "TestSupport",
      ],
      path: "Tests/Fuzz",
      exclude: ["Corpus"],
      swiftSettings: settings
    )
  )
}

// The benchmarks of the loop over bytes are built by `Scripts/bench bytes` alone, with a library that only they need.
if Context.environment["YESTER_BENCH"] != nil {
  package.dependencies.append(.package(url: "https://github.com/ordo-one/benchmark", exact: "1.38.1", traits: []))
  package.targets.append(
    .executableTarget(
      name: "Benchmarks",
      dependencies: [
        "Platform", "Reporting", "RepositoryFormat", "ChunkCodec", "DirectoryStores", "RepositoryCore", "TestSupport",
        .product(name: "Benchmark", package: "benchmark"),
      ],
      // The library looks for benchmarks in folders of a folder of this name.
      path: "Tests/Benchmarks/Bytes",
      swiftSettings: settings,
      plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
    )
  )
  package.targets.append(
    .executableTarget(
      name: "LargeIndex",
      dependencies: [
        "Platform", "RepositoryFormat", "ChunkCodec", "ObjectStores", "DirectoryStores", "RepositoryCore",
        "RepositoryOpening", "TestSupport",
      ],
      path: "Tests/Benchmarks/LargeIndex",
      swiftSettings: settings
    )
  )
}
