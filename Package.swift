// swift-tools-version: 6.2
// One section per target with its tests, lowest layer first. Dependencies point down only;
// Scripts/check-layers holds the same list and fails when an import points up.

import PackageDescription

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .treatAllWarnings(as: .error),
]

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
    // MARK: C libraries
    .systemLibrary(name: "CFuse", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
    .target(name: "CLinux"),
    .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),

    // MARK: Platform
    .target(name: "Platform", dependencies: ["CLinux"], swiftSettings: settings),
    .testTarget(name: "PlatformTests", dependencies: ["Platform", "TestSupport"], swiftSettings: settings),

    // What several targets of tests use. No program and no library may import it.
    .target(name: "TestSupport", dependencies: ["Platform"], path: "Tests/TestSupport", swiftSettings: settings),

    // MARK: RepositoryFormat
    .target(name: "RepositoryFormat", dependencies: ["Platform"], swiftSettings: settings),
    .testTarget(
      name: "RepositoryFormatTests",
      dependencies: ["Platform", "RepositoryFormat", "TestSupport"],
      swiftSettings: settings
    ),

    // MARK: ChunkCodec
    .target(
      name: "ChunkCodec",
      dependencies: ["COpenSSL", "CZstd", "Platform", "RepositoryFormat"],
      swiftSettings: settings
    ),
    .testTarget(
      name: "ChunkCodecTests",
      dependencies: ["ChunkCodec", "Platform", "RepositoryFormat", "TestSupport"],
      swiftSettings: settings
    ),

    // MARK: RepositoryStore
    .target(
      name: "RepositoryStore",
      dependencies: ["ChunkCodec", "Platform", "RepositoryFormat"],
      swiftSettings: settings
    ),
    .testTarget(
      name: "RepositoryStoreTests",
      dependencies: ["ChunkCodec", "Platform", "RepositoryFormat", "RepositoryStore", "TestSupport"],
      swiftSettings: settings
    ),

    // MARK: SnapshotTree
    .target(
      name: "SnapshotTree",
      dependencies: ["ChunkCodec", "Platform", "RepositoryFormat", "RepositoryStore"],
      swiftSettings: settings
    ),
    .testTarget(
      name: "SnapshotTreeTests",
      dependencies: [
        "ChunkCodec", "Platform", "RepositoryFormat", "RepositoryStore", "SnapshotTree", "TestSupport",
      ],
      swiftSettings: settings
    ),

    // MARK: BackupEngine
    .target(
      name: "BackupEngine",
      dependencies: ["ChunkCodec", "Platform", "RepositoryFormat", "RepositoryStore", "SnapshotTree"],
      swiftSettings: settings
    ),
    .testTarget(
      name: "BackupEngineTests",
      dependencies: [
        "BackupEngine", "ChunkCodec", "Platform", "RepositoryFormat", "RepositoryStore", "SnapshotTree",
        "TestSupport",
      ],
      swiftSettings: settings
    ),

    // MARK: FuseMount
    .target(
      name: "FuseMount",
      dependencies: ["CFuse", "Platform", "RepositoryFormat", "RepositoryStore", "SnapshotTree"],
      swiftSettings: settings
    ),
    .testTarget(
      name: "FuseMountTests",
      dependencies: ["CLinux", "FuseMount", "Platform", "SnapshotTree"],
      swiftSettings: settings
    ),

    // MARK: TerminalText
    .target(name: "TerminalText", swiftSettings: settings),
    .testTarget(name: "TerminalTextTests", dependencies: ["TerminalText"], swiftSettings: settings),

    // MARK: Programs
    .executableTarget(
      name: "yester",
      dependencies: [
        "BackupEngine", "ChunkCodec", "Platform", "RepositoryFormat", "RepositoryStore", "SnapshotTree",
        "TerminalText",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings
    ),
    .executableTarget(
      name: "yesterfs",
      dependencies: [
        "CFuse", "ChunkCodec", "FuseMount", "Platform", "RepositoryFormat", "RepositoryStore",
        "SnapshotTree",
      ],
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
        "ChunkCodec", "FuseMount", "Platform", "RepositoryFormat", "RepositoryStore", "SnapshotTree",
        "TestSupport",
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
        "ChunkCodec", "Platform", "RepositoryFormat", "RepositoryStore", "TestSupport",
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
      name: "LargeIndex", dependencies: ["Platform", "RepositoryFormat", "RepositoryStore", "TestSupport"],
      path: "Tests/LargeIndex", swiftSettings: settings
    )
  )
}
