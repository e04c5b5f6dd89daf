import SnapshotTree
internal import FuseMount
internal import Glibc
internal import Platform
internal import Reporting
internal import Synchronization
internal import Testing

/// Mounts whose content changes, and their end.
@Suite(.timeLimit(.minutes(2))) struct LiveMountTests {
  private func announce(
    _ model: MemoryModel,
    _ name: String,
    _ change: @escaping @Sendable (inout MemoryModel.State) -> Void
  ) {
    model.state.withLock { $0.pending.append((Array(name.utf8), change)) }
  }

  @Test func newSnapshotsAreListedWithinTwoSeconds() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 10))
    defer { mount.takeDown() }
    // The kernel has the listing in its cache.
    for _ in 0..<3 { #expect(try mount.names().count == 3) }
    announce(mount.model, "20261121") { state in
      let snapshot = state.add("20261121", in: 1, mode: 0o040755)
      state.add("a", in: snapshot, mode: 0o100644, [1, 2, 3])
    }
    #expect(try mount.within2Seconds { try mount.names().contains("20261121") })
    #expect(try mount.content("20261121/a") == [1, 2, 3])
  }

  @Test func newSnapshotsAreFoundThoughTheyWereMissing() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 10))
    defer { mount.takeDown() }
    #expect(!mount.exists("20261121/a"))
    announce(mount.model, "20261121") { state in
      let snapshot = state.add("20261121", in: 1, mode: 0o040755)
      state.add("a", in: snapshot, mode: 0o100644, [1, 2, 3])
    }
    #expect(mount.within2Seconds { mount.exists("20261121/a") })
  }

  @Test func removedSnapshotsVanishAndWhatIsOpenStays() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 10))
    defer { mount.takeDown() }
    let file = try Descriptor.open("\(mount.path)/20261120/dir0/file0")
    announce(mount.model, "20261120") { $0.remove("20261120", in: 1) }
    #expect(mount.within2Seconds { !mount.exists("20261120") })
    #expect(try !mount.names().contains("20261120"))
    #expect(try file.readAll(limit: 1 << 20).starts(with: Array("file 0\n".utf8)))
  }

  @Test func aChangedLinkLeadsElsewhere() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 10))
    defer { mount.takeDown() }
    let link = Array("\(mount.path)/latest".utf8)
    #expect(try FileSystem.readLink(link, at: nil) == Array("20261120".utf8))
    announce(mount.model, "latest") { state in
      guard let node = state.nodes[1]?.byName[Array("latest".utf8)] else { return }
      state.nodes[node]?.content = Array("2026112".utf8)
      state.nodes[node]?.info.generation = 1
    }
    #expect(try mount.within2Seconds { try FileSystem.readLink(link, at: nil) == Array("2026112".utf8) })
  }

  @Test func aFileThatChangesIsReadAfresh() throws {
    let counter = Monitor(0)
    let model = MemoryModel { state in
      let directory = state.add(".yester", in: 1, mode: 0o040755, isImmutable: false)
      state.add("stats", in: directory, mode: 0o100444, isImmutable: false) { node in
        node.generate = { counter.withLock { Array(String(repeating: "x", count: $0).utf8) } }
      }
      state.add("same-size", in: directory, mode: 0o100444, isImmutable: false) { node in
        node.generate = { counter.withLock { Array("\($0 + 100)".utf8) } }
      }
    }
    let mount = try MountFixture(model)
    defer { mount.takeDown() }
    for value in [1, 5, 3, 200, 0, 7] {
      counter.withLock { $0 = value }
      #expect(try mount.content(".yester/stats").count == value)
      #expect(try mount.content(".yester/same-size") == Array("\(value + 100)".utf8))
    }
  }

  @Test func aMountInUseAsksForNewsAndAnIdleOneDoesNot() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 10))
    defer { mount.takeDown() }
    usleep(1_100_000)
    _ = try mount.names()
    let before = mount.model.state.withLock { $0.refreshes }
    #expect(before >= 1)
    // A request is counted when its client has its answer already, and the kernel forgets what it is told to later.
    var requests = mount.mount.requests
    for _ in 0..<20 {
      usleep(300_000)
      let now = mount.mount.requests
      if now == requests { break }
      requests = now
    }
    usleep(2_000_000)
    #expect(mount.model.state.withLock { $0.refreshes } == before)
    #expect(mount.mount.requests == requests)
  }

  @Test func endsAtOnceThoughAFileIsOpen() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 10))
    defer { mount.takeDown() }
    let file = try Descriptor.open("\(mount.path)/20261120/dir0/file0")
    let began = System.bootClock
    #expect(mount.stop() == .clean)
    #expect(System.bootClock - began < 1_000_000_000)
    #expect(try mount.names("").isEmpty)
    _ = file
  }

  @Test func servesOthersWhileReadsHangAndEnds() throws {
    let model = MemoryModel { state in
      for number in 0..<5 {
        state.add("slow\(number)", in: 1, mode: 0o100644, [1]) { $0.delaySeconds = 4 }
      }
    }
    let mount = try MountFixture(model)
    defer { mount.takeDown() }
    let path = mount.path
    let readers = try (0..<5).map { number in
      try Worker("test-reader") { _ = try? Descriptor.open("\(path)/slow\(number)").readAll(limit: 10) }
    }
    usleep(200_000)
    var began = System.bootClock
    #expect(try mount.names().count == 5)
    #expect(System.bootClock - began < 500_000_000)
    began = System.bootClock
    #expect(mount.stop() == .stuck)
    #expect(System.bootClock - began < 2_500_000_000)
    #expect(try mount.names("").isEmpty)
    for reader in readers { reader.join() }
    // The model's calls come back; only then may the model go.
    usleep(4_000_000)
  }

  @Test func endsWhenUnmountedFromOutside() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 10))
    defer { mount.takeDown() }
    #expect(umount2(mount.path, 0) == 0)
    #expect(mount.stop() == .clean)
  }

  @Test func refusesMountPointsThatDoNotWork() throws {
    let mount = try MountFixture(MemoryModel())
    defer { mount.takeDown() }
    func message(_ source: String, _ path: String) -> YesterError? {
      var options = DriverOptions(source: source, mountPoint: path)
      options.sourceDirectory = source
      do throws(YesterError) {
        try Mount.check(options)
      } catch {
        return error
      }
      return nil
    }
    #expect(message("/nowhere", mount.path)?.code == .busy)
    #expect(message("/nowhere", mount.path + "/x")?.message.contains("does not exist") == true)
    #expect(message("/nowhere", "/dev/null")?.message.contains("not a directory") == true)
    #expect(message("/nowhere", "/etc")?.message.contains("not empty") == true)
    #expect(message("/", "/tmp")?.message.contains("lies inside the repository") == true)
    #expect(message("/usr/bin", "/usr")?.message.contains("lies inside the mount point") == true)
  }
}
