// Text that people and the kernel give: the configuration of a repository, key files, options, mounts, selectors.
@testable internal import ChunkCodec
@testable internal import FuseMount
internal import Platform
internal import RepositoryFormat
internal import SnapshotTree

let textTargets: [Target] = [
  // The check of the configuration is left to the parser, or no input would get past it.
  Target("config", seeds: { [testRoot.encode(digest: noDigest)] }) { input in
    let config = try RepositoryConfig(decoding: input, digest: noDigest)
    expect(config.encode(digest: noDigest) == input, "a configuration has one form only")
  },
  Target("key-file", seeds: { [Secret.newKeyFileContent(), testSecret, Array(" \n".utf8)] }) { input in
    guard case .keyFile(let key) = try Secret(keyFileContent: input) else { return }
    expect(key.count == 32, "a key has 32 bytes")
  },
  // Arguments end at zero bytes.
  Target("options", seeds: { commandLines.map { Array($0.utf8) } }) { input in
    let arguments = input.split(separator: 0, omittingEmptySubsequences: false).map { String(path: Array($0)) }
    guard case .mount(let options) = try OptionParser.parse(arguments) else { return }
    expect(!options.source.isEmpty && !options.mountPoint.isEmpty, "a mount has a source and a place")
    expect(options.umask ?? 0 <= 0o777 && (1...64).contains(options.threads ?? 1), "numbers keep to their ranges")
  },
  Target("mount-table", seeds: { mountTables.map { Array($0.utf8) } }) { input in
    let entries = MountInfo.parse(input)
    expect(entries.count <= input.count(where: { $0 == 0x0A }) + 1, "there is at most one mount a line")
  },
  Target("selector", seeds: { selectors.map { Array($0.utf8) } + [[0xFF, 0x3A, 0xF4, 0x8F, 0xBD, 0x81]] }) { input in
    let text = String(path: input)
    expect(text.pathBytes == input, "a path gets through as it is")
    let selector = SnapshotSelector(text)
    expect(selector.hasPath || selector.path.isEmpty, "only what has a colon has a path")
    expect(selector.path.first != 0x2F, "a path has no slash in front")
    _ = ObjectID(hex: text)
    _ = isValidSnapshotName(text)
  },
]

private let testRoot = RepositoryConfig(rootPublicKey: rootKeys.publicKey, digest: noDigest)

@Sendable private func noDigest(_: [UInt8]) -> [UInt8] { [UInt8](repeating: 0, count: 32) }

private let commandLines = [
  "/srv/backup\0/mnt", "/srv/backup\0/mnt\0-o\0ro,key_file=/root/key,allow_other,umask=022,threads=4\0-f",
  "-okey_file=/a\\,b,cache_size=64,uid=1000,gid=1000\0--\0-a\0/mnt", "--help",
  "a\0b\0-o\0host=db,nonempty,noexec,allow_dev,allow_suid,x-systemd.automount,_netdev,comment=c", "a\0b\0-o\0all-hosts",
  "a\0b\0-o\0password_fd=3", "a\0b\0-o\0password_file=/x,no_allow_other,foreground", "a\0b\0-opassword_command=pass x",
]
private let mountTables = [
  """
  25 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
  26 25 0:5 / /mnt/a\\040b rw master:2 propagate_from:1 - fuse.yesterfs /srv/back\\134up rw

  """,
  "1 2 0:1 / /proc rw - proc proc rw",
]
private let selectors = ["latest", "latest:/etc/motd", "20261120_0215:home//ada/", "20261120", "0a1b2c3d:", "é:ä"]
