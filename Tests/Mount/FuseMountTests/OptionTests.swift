@testable import FuseMount
internal import Reporting
internal import Testing

@Suite struct OptionTests {
  private func options(_ list: String...) throws -> DriverOptions {
    guard case .mount(let options) = try OptionParser.parse(["/repository", "/mnt"] + list.flatMap { ["-o", $0] })
    else { throw YesterError(.failed, "not a mount") }
    return options
  }

  @Test func readsWhatMountPassesAlong() throws {
    let parsed = try options("rw,nofail,_netdev,x-systemd.automount,comment=a b,key_file=/etc/k,allow_other,dev,suid")
    var expected = DriverOptions(source: "/repository", mountPoint: "/mnt")
    expected.secret = .keyFile("/etc/k")
    expected.allowsOthers = true
    #expect(parsed == expected)
  }

  @Test func readsItsOwn() throws {
    let parsed = try options(
      "host=ada,names=all,cache_size=512,uid=7,gid=8,umask=077,threads=3",
      "nonempty,allow_suid,foreground",
      "password_command=pass show a\\,b"
    )
    #expect(parsed.host == "ada" && parsed.cacheSize == 512 << 20 && parsed.user == 7 && parsed.group == 8)
    #expect(parsed.umask == 0o077 && parsed.threads == 3 && parsed.allowsContent && parsed.honoursSetUID)
    #expect(parsed.isForeground && parsed.secret == .passwordCommand("pass show a,b"))
  }

  @Test(
    arguments: [
      "nonsense", "nonsense=1", "cache_size=0", "cache_size=", "cache_size=99999999", "uid=-1", "uid=4294967295",
      "umask=8", "umask=1777", "password_fd=x", "key_file=a,password_file=b", "host=a,all-hosts", "key_file",
      "names=some", "remount,rw",
      "allow_other=1", "threads=65",
    ])
  func refuses(_ list: String) {
    #expect { try options(list) } throws: { ($0 as? YesterError)?.code == .usage }
  }

  @Test func refusesWrongOperands() {
    for arguments in [[], ["a"], ["a", "b", "c"], ["", "b"], ["a", "b", "-x"], ["a", "b", "-o"]] {
      #expect(throws: YesterError.self) { try OptionParser.parse(arguments) }
    }
  }

  @Test func knowsHelpAndVersion() throws {
    #expect(try OptionParser.parse(["--help"]) == .help)
    #expect(try OptionParser.parse(["a", "-V"]) == .version)
    #expect(DriverHelp.text.split(separator: "\n").allSatisfy { $0.count <= 120 })
  }

  @Test func spinsOnlyWhileRequestsFollowClosely() {
    var budget = SpinBudget(processors: 2)
    budget.beginIdle(at: 0)
    #expect(budget.mayGoOn(at: 99_000, isShared: false) && !budget.mayGoOn(at: 99_000, isShared: true))
    #expect(!budget.mayGoOn(at: 101_000, isShared: false))
    for _ in 0..<10 { budget.wokeUp(at: 1_000_000_000) }
    #expect(!budget.mayGoOn(at: 2_100, isShared: false))
    budget.wokeUp(at: 120_000)
    #expect(budget.mayGoOn(at: 99_000, isShared: false))
    let alone = SpinBudget(processors: 1)
    #expect(!alone.mayGoOn(at: 1, isShared: false))
  }
}
