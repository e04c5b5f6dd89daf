import Platform
import Reporting
import RepositoryOpening
import TestSupport
import Testing
import Workflows

@Suite struct DriverLauncherTests {
  private func launcher(keyFile: String = "/keys/one,two") -> DriverLauncher {
    var access = RepositoryAccess()
    access.repository = "/backups"
    access.keyFile = keyFile
    return DriverLauncher(access)
  }

  @Test func theDriverGetsTheRepositoryTheMountPointAndTheKeyFileWithItsCommasEscaped() throws {
    let arguments = try launcher().arguments(mountPoint: "/mnt")
    #expect(arguments.dropFirst() == ["/backups", "/mnt", "-o", #"key_file=/keys/one\,two"#])
    #expect(try #require(arguments.first).hasSuffix("yesterfs"))
  }

  @Test func furtherOptionsStandBeforeTheKey() throws {
    var launcher = launcher(keyFile: "/key")
    launcher.options = ["host=" + DriverLauncher.escaped(#"a,b\c"#), "all-hosts"]
    launcher.isForeground = true
    let arguments = try launcher.arguments(mountPoint: "/mnt")
    #expect(arguments.dropFirst() == ["/backups", "/mnt", "-f", "-o", #"host=a\,b\\c,all-hosts,key_file=/key"#])
  }

  @Test func aPasswordIsNoArgument() throws {
    try withTemporaryDirectory { folder in
      try writeFile(folder + "/password", Array("secret\n".utf8))
      var access = RepositoryAccess()
      access.repository = "/backups"
      access.passwordCommand = "cat \(folder)/password"
      let arguments = try DriverLauncher(access).arguments(mountPoint: "/mnt")
      let option = try #require(arguments.last)
      #expect(option.hasPrefix("password_fd=") && !arguments.joined().contains("secret"))
      let digits = option.dropFirst("password_fd=".count)
      let number = try #require(Int32(digits))
      #expect(try Descriptor(owning: number).readAll(limit: 100) == Array("secret\n".utf8))
    }
  }
}
