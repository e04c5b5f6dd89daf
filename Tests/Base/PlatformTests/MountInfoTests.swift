import Platform
import Testing

@Suite struct MountInfoTests {
  @Test func aTable() {
    let table = """
      25 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
      26 25 0:52 / /mnt/a\\040b rw master:2 propagate_from:1 - fuse.yesterfs /srv/back\\134up,\\040x ro
      27 25 0:5 / /proc rw - proc proc rw
      28 25 0:6 / /cut
      broken
      29 25 x:6 / /odd rw - ext4 a rw

      """
    let mounts = MountInfo.parse(Array(table.utf8))
    #expect(mounts.map { String(decoding: $0.type, as: UTF8.self) } == ["ext4", "fuse.yesterfs", "proc"])
    #expect(mounts[1].mountPoint == Array("/mnt/a b".utf8))
    #expect(mounts[1].source == Array("/srv/back\\up, x".utf8))
    #expect(mounts[1].device == 52)
    #expect(mounts[0].device == 254 << 32 | 1)
    // What the whole file system allows, not one mount of it.
    #expect(mounts.map(\.isReadOnly) == [false, true, false])
  }

  @Test func thisMachine() throws {
    #expect(MountInfo.all().contains { $0.type == Array("proc".utf8) })
    #expect(MountInfo.at(Array("/proc".utf8))?.type == Array("proc".utf8))
    #expect(MountInfo.at(Array("/proc/self".utf8)) == nil)
  }
}
