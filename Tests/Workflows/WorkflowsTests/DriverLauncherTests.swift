import DirectoryStores
import ObjectStores
import Platform
import Reporting
import RepositoryOpening
import TestSupport
import Testing
import Workflows

@Suite struct DriverLauncherTests {
  private func launcher(keyFile: String = "/keys/one,two") -> DriverLauncher {
    var access = RepositoryAccess(stores: StoreRegistry([.directory]))
    access.repository = "/backups"
    access.keyFile = keyFile
    return DriverLauncher(access)
  }

  @Test func theDriverGetsTheRepositoryTheMountPointAndTheKeyFileWithItsCommasEscaped() throws {
    let arguments = try launcher().command(mountPoint: "/mnt").arguments
    #expect(arguments.dropFirst() == ["/backups", "/mnt", "-o", #"key_file=/keys/one\,two"#])
    #expect(try #require(arguments.first).hasSuffix("yesterfs"))
  }

  @Test func furtherOptionsStandBeforeTheKey() throws {
    var launcher = launcher(keyFile: "/key")
    launcher.options = ["host=" + MountOptionList.escaped(#"a,b\c"#), "all-hosts"]
    launcher.isForeground = true
    let arguments = try launcher.command(mountPoint: "/mnt").arguments
    #expect(arguments.dropFirst() == ["/backups", "/mnt", "-f", "-o", #"host=a\,b\\c,all-hosts,key_file=/key"#])
  }

  @Test func aPasswordIsNoArgument() throws {
    try withTemporaryDirectory { folder in
      try writeFile(folder + "/password", Array("secret\n".utf8))
      var access = RepositoryAccess(stores: StoreRegistry([.directory]))
      access.repository = "/backups"
      access.passwordCommand = "cat \(folder)/password"
      let command = try DriverLauncher(access).command(mountPoint: "/mnt")
      let pipe = try #require(command.inherited.first)
      #expect(command.arguments.last == "password_fd=\(pipe.raw)")
      #expect(!command.arguments.joined().contains("secret"))
      #expect(try pipe.readAll(limit: 100) == Array("secret\n".utf8))
    }
  }
}
