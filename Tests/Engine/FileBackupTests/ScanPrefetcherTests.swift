// Whatever the threads that scan ahead get to, the walk sees each directory as it would by itself.
import LocalFiles
@testable import ChunkCodec
@testable import FileBackup
import Glibc
import Platform
import TestSupport
import Testing

@Suite struct ScanPrefetcherTests {
  /// A tree of `count` directories with some files each, of a shape that the seed decides.
  private func makeTree(_ root: String, count: Int, seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var directories = [root]
    for number in 0..<count {
      // Deep, wide, and names that sort otherwise than their paths do.
      let chosen =
        random.next().isMultiple(of: 3) ? directories.count - 1 : Int(random.next() % 100_000) % directories.count
      let parent = directories[chosen]
      let path = parent + "/" + ["a", "a-b", "a.b", "z", "é"][number % 5] + "\(random.next() % 50)-\(number)"
      try Directory.makeAll(path)
      directories.append(path)
      for file in 0..<Int(random.next() % 4) { _ = try Descriptor.open(path + "/f\(file)", O_WRONLY | O_CREAT) }
    }
  }

  /// Walks depth first, as a backup does; the paths in the order of the walk, and how many scans came from the threads.
  private func walk(_ root: String, threads: Int, stopAfter: Int = .max) throws -> (paths: [[UInt8]], taken: Int) {
    let scanner = DirectoryScanner(BackupOptions(), base: nil)
    let prefetcher = ScanPrefetcher(scanner)
    prefetcher.start(threads: threads)
    defer { prefetcher.close() }
    func scan(_ path: [UInt8]) throws -> DirectoryScan {
      let directory = try Descriptor.open(root.pathBytes + [0x2F] + path, Descriptor.directoryFlags)
      var scan = try scanner.scan(directory, path: path, above: nil, base: nil)
      prefetcher.announce(&scan, path: path)
      return scan
    }
    var paths: [[UInt8]] = []
    var taken = 0
    func visit(_ path: [UInt8], _ seen: DirectoryScan) throws {
      var seen = seen
      for index in 0..<seen.names.count {
        if index == seen.first + seen.entries.count {
          prefetcher.scanNext(of: &seen, from: index, path: path, base: nil)
        }
        let entry = seen.entries[index - seen.first]
        let child = path.isEmpty ? entry.name : path + [0x2F] + entry.name
        paths.append(child)
        guard case .directory = entry.finding, paths.count < stopAfter else { continue }
        let number = try #require(entry.number)
        let found = prefetcher.take(number)
        if found != nil { taken += 1 }
        try visit(child, try found ?? scan(child))
      }
    }
    try visit([], scan([]))
    return (paths, taken)
  }

  @Test(arguments: [1, 3]) func theWalkSeesTheSame(threads: Int) throws {
    try withTemporaryDirectory { root in
      try makeTree(root, count: 600, seed: 77)
      let large = root + "/large"
      for number in 0..<10 { try Directory.makeAll(large + "/\(number * 499)d") }
      for number in 0..<5000 { _ = try Descriptor.open(large + "/\(number)", O_WRONLY | O_CREAT) }
      let expected = try walk(root, threads: 0)
      #expect(expected.taken == 0)
      #expect(expected.paths.count > 5500)
      for _ in 0..<2 { #expect(try walk(root, threads: threads).paths == expected.paths) }
    }
  }

  @Test func itEndsWhereverTheWalkBreaksOff() throws {
    try withTemporaryDirectory { root in
      try makeTree(root, count: 300, seed: 78)
      for stop in [1, 2, 10, 100, 400] { _ = try walk(root, threads: 2, stopAfter: stop) }
    }
  }

  /// Of many directories next to one another none is taken: the threads rest when enough is ready.
  @Test func onlySoMuchIsReady() throws {
    try withTemporaryDirectory { root in
      for number in 0..<500 { try Directory.makeAll(root + "/d\(number)") }
      let scanner = DirectoryScanner(BackupOptions(), base: nil)
      let prefetcher = ScanPrefetcher(scanner)
      prefetcher.start(threads: 3)
      defer { prefetcher.close() }
      var scan = try scanner.scan(
        Descriptor.open(root, Descriptor.directoryFlags), path: [], above: nil, base: nil)
      prefetcher.announce(&scan, path: [])
      func open() throws -> Int {
        try Directory.names(Descriptor.open("/proc/self/fd", Descriptor.directoryFlags)).filter { number in
          let target = try? FileSystem.readLink(Array("/proc/self/fd/".utf8) + number, at: nil)
          return target?.starts(with: Array(root.utf8)) == true
        }.count
      }
      // However slow the machine is, and a little longer for what should not come.
      for _ in 0..<300 where try open() < 60 { usleep(100_000) }
      usleep(300_000)
      let found = try open()
      #expect(found >= 60)
      #expect(found < 80)
    }
  }

  @Test func largeDirectoriesAreLeftToTheWalk() throws {
    try withTemporaryDirectory { root in
      for number in 0..<11 { _ = try Descriptor.open(root + "/f\(number)", O_WRONLY | O_CREAT) }
      let scanner = DirectoryScanner(BackupOptions(), base: nil)
      func names(atMost count: Int) throws -> Int {
        let directory = try Descriptor.open(root, Descriptor.directoryFlags)
        return try scanner.scan(directory, path: [], above: nil, base: nil, namesMax: count).entries.count
      }
      #expect(throws: Errno.tooLarge) { try names(atMost: 10) }
      #expect(try names(atMost: 11) == 11)
    }
  }
}
