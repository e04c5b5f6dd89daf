import FuseMount
internal import CLinux
internal import Glibc
internal import Platform
internal import TestSupport
internal import Testing

/// What clients see of a mount that nobody changes.
@Suite(.timeLimit(.minutes(2))) struct MountTests {
  private static func text(_ string: String) -> [UInt8] { Array(string.utf8) }

  @Test func showsNamesAttributesAndContent() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 200))
    defer { mount.takeDown() }
    #expect(try mount.names() == [".yester", "20261120", "latest"])
    #expect(try mount.names("20261120").count == 21)
    for number in stride(from: 0, to: 200, by: 7) {
      let content = try mount.content("latest/dir\(number / 10)/file\(number)")
      #expect(content.starts(with: Self.text("file \(number)\n")))
      let status = try FileStatus(of: "\(mount.path)/20261120/dir\(number / 10)/file\(number)")
      #expect(status.size == UInt64(content.count))
      #expect(status.modified == MemoryModel.moment && status.changed == MemoryModel.moment)
      #expect(status.permissions == 0o644 && status.isRegular)
    }
    let device = try FileStatus(of: "\(mount.path)/20261120/other/null")
    #expect(device.deviceMajor == 1 && device.deviceMinor == 3)
    #expect(try FileStatus(of: "\(mount.path)/20261120/other/fifo").type == 0o010000)
    #expect(try FileStatus(of: "\(mount.path)/20261120/other/setuid").permissions == 0o4755)
    #expect(
      try FileSystem.readLink(Self.text("\(mount.path)/20261120/other/link"), at: nil) == Self.text("../dir0/file0")
    )
    #expect(!mount.exists("20261120/nothing") && errno == ENOENT)
    #expect(!mount.exists("20261120/dir0/file0/x") && errno == ENOTDIR)
  }

  @Test func isListedAsFuseYesterfs() throws {
    let mount = try MountFixture(MemoryModel())
    defer { mount.takeDown() }
    let table = try String(decoding: Descriptor.open("/proc/self/mounts").readAll(limit: 1 << 24), as: UTF8.self)
    let line = try #require(table.split(separator: "\n").first { $0.contains(mount.path) })
    #expect(line.split(separator: " ")[2] == "fuse.yesterfs")
    let flags = line.split(separator: " ")[3].split(separator: ",")
    #expect(flags.contains("ro") && flags.contains("nosuid") && flags.contains("nodev"))
    #expect(flags.contains("default_permissions"))
  }

  @Test func listsFiftyThousandNamesAndGoesBack() throws {
    let model = MemoryModel { state in
      let directory = state.add("many", in: 1, mode: 0o040755)
      for number in 0..<50_000 { state.add("name-\(number)", in: directory, mode: 0o100644) }
    }
    let mount = try MountFixture(model)
    defer { mount.takeDown() }
    let names = try mount.names("many")
    #expect(names.count == 50_000 && Set(names).count == 50_000)
    #expect(Set(names).contains("name-49999"))

    let stream = try #require(opendir("\(mount.path)/many"))
    defer { closedir(stream) }
    func next() -> String? {
      guard let entry = readdir(stream) else { return nil }
      return withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
    }
    #expect(next() == ".")
    #expect(next() == "..")
    var position = 0
    var expected: String?
    for number in 0..<40_000 {
      if number == 777 { position = telldir(stream) }
      let name = next()
      if number == 777 { expected = name }
    }
    seekdir(stream, position)
    #expect(next() == expected && expected != nil)
    rewinddir(stream)
    var count = 0
    while next() != nil { count += 1 }
    #expect(count == 50_002)
  }

  @Test func givesExtendedAttributes() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 10))
    defer { mount.takeDown() }
    let path = "\(mount.path)/20261120/other/attributed"
    let found = try ExtendedAttributes.read(Self.text(path), at: nil)
    #expect(found.map { String(decoding: $0.name, as: UTF8.self) } == ["system.posix_acl_access", "user.color"])
    #expect(found.map(\.value) == [MemoryModel.accessList, Self.text("blue")])
    let file = try Descriptor.open(path)
    #expect(yl_fgetxattr(file.raw, "user.color", nil, 0) == 4)
    var small: [UInt8] = [0, 0]
    #expect(yl_fgetxattr(file.raw, "user.color", &small, 2) == -Int(ERANGE))
    #expect(yl_fgetxattr(file.raw, "user.other", &small, 2) == -Int(ENODATA))
    #expect(yl_flistxattr(file.raw, nil, 0) == "system.posix_acl_access".utf8.count + "user.color".utf8.count + 2)
    #expect(try ExtendedAttributes.read(Self.text("\(mount.path)/20261120/dir0/file0"), at: nil).isEmpty)
  }

  @Test func refusesEveryChange() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 10))
    defer { mount.takeDown() }
    let file = "\(mount.path)/20261120/dir0/file0"
    let new = "\(mount.path)/20261120/new"
    #expect(throws: Errno.readOnly) { try Descriptor.open(file, O_WRONLY) }
    #expect(throws: Errno.readOnly) { try Descriptor.open(new, O_RDWR | O_CREAT, mode: 0o644) }
    func refuses(_ result: CInt) -> Bool { result == -1 && errno == EROFS }
    #expect(refuses(mkdir(new, 0o755)))
    #expect(refuses(unlink(file)))
    #expect(refuses(rmdir("\(mount.path)/20261120/dir0")))
    #expect(refuses(rename(file, new)))
    #expect(refuses(symlink("x", new)))
    #expect(refuses(link(file, new)))
    #expect(refuses(chmod(file, 0)))
    #expect(refuses(chown(file, 1, 1)))
    #expect(refuses(truncate(file, 0)))
    #expect(refuses(mkfifo(new, 0o644)))
    #expect(refuses(utimes(file, nil)))
    let here = CInt(AT_FDCWD)
    #expect(yl_setxattrat(here, file, "user.x", "y", 1) == -EROFS)
    #expect(yl_removexattrat(here, file, "user.x") == -EROFS)
  }

  @Test func findsHoles() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 10))
    defer { mount.takeDown() }
    let file = try Descriptor.open("\(mount.path)/20261120/other/holes")
    #expect(try file.nextData(from: 0) == 10 << 20)
    #expect(try file.nextHole(from: 0) == 0)
    #expect(try file.nextHole(from: 10 << 20) == (10 << 20) + 3)
    #expect(throws: Errno(rawValue: ENXIO)) { try file.nextHole(from: 11 << 20) }
    #expect(try file.status().blocks == 8)
  }

  /// No totals, so that nobody takes a mount for a disk that is full.
  @Test func hasNoBlocks() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 10))
    defer { mount.takeDown() }
    var totals = statvfs()
    #expect(statvfs(mount.path, &totals) == 0)
    #expect(totals.f_blocks == 0 && totals.f_bavail == 0 && totals.f_files == 0 && totals.f_ffree == 0)
    #expect(totals.f_bsize == 4096 && totals.f_namemax == 255)
  }

  @Test func answersManyReadersAtOnce() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 500))
    defer { mount.takeDown() }
    let wrong = Monitor<[String]>([])
    let path = mount.path
    let readers = try (0..<4).map { _ in
      try Worker("test-reader") {
        for number in 0..<500 {
          let name = "\(path)/20261120/dir\(number / 10)/file\(number)"
          let content = try? Descriptor.open(name).readAll(limit: 1 << 20)
          if content?.starts(with: Array("file \(number)\n".utf8)) != true { wrong.withLock { $0.append(name) } }
        }
        let large = try? Descriptor.open("\(path)/20261120/other/large").readAll(limit: 1 << 30)
        if large != MemoryModel.pattern(1 << 20) { wrong.withLock { $0.append("large") } }
      }
    }
    for reader in readers { reader.join() }
    #expect(wrong.withLock { $0 } == [])
  }

  @Test func canShowEverythingAsSomebodyElses() throws {
    let mount = try MountFixture(MemoryModel.sample(files: 10)) { options in
      options.user = 12345
      options.group = 54321
      options.umask = 0o022
    }
    defer { mount.takeDown() }
    let status = try FileStatus(of: "\(mount.path)/20261120/other/attributed")
    #expect(status.user == 12345 && status.group == 54321 && status.permissions == 0o640)
  }
}
