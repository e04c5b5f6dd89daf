/// What other backup programs call what yester does, so that their users are led to the command here. Names that are
/// not among the commands are passed over.
enum ForeignCommands {
  static let names: [String: [String]] = [
    "add": ["backup"],
    "archive": ["backup"],
    "archives": ["list"],
    "check": ["verify"],
    "cleanup": ["prune"],
    "compact": ["prune"],
    "compare": ["diff"],
    "cp": ["restore"],
    "create": ["backup", "init"],
    "delete": ["remove", "rotate"],
    "dump": ["cat", "restore"],
    "expire": ["rotate"],
    "export": ["restore"],
    "extract": ["restore"],
    "files": ["ls"],
    "forget": ["rotate", "remove"],
    "fsck": ["verify"],
    "gc": ["prune"],
    "get": ["restore"],
    "grep": ["find"],
    "history": ["versions", "list"],
    "info": ["show", "status"],
    "keys": ["key"],
    "locate": ["find"],
    "log": ["list"],
    "logs": ["list"],
    "ls-files": ["ls"],
    "maintenance": ["prune", "verify"],
    "mnt": ["mount"],
    "passwd": ["key change-password"],
    "password": ["key change-password"],
    "print": ["cat", "ls"],
    "purge": ["prune"],
    "recover": ["restore"],
    "rename": ["annotate"],
    "repo": ["init", "status"],
    "repository": ["init", "status"],
    "restore-points": ["list"],
    "revert": ["rollback"],
    "rm": ["remove", "rotate"],
    "run": ["backup"],
    "save": ["backup"],
    "scrub": ["verify"],
    "search": ["find"],
    "size": ["status"],
    "snap": ["backup"],
    "snapshot": ["backup", "list"],
    "snapshots": ["list"],
    "stat": ["status"],
    "stats": ["status"],
    "tag": ["annotate", "backup"],
    "test": ["verify"],
    "umount": ["unmount"],
    "undelete": ["find", "restore"],
    "undo": ["rollback"],
  ]

  /// Below `key`.
  static let keyNames: [String: [String]] = [
    "change": ["change-password"],
    "change-passphrase": ["change-password"],
    "create": ["add"],
    "delete": ["remove"],
    "del": ["remove"],
    "ls": ["list"],
    "new": ["add"],
    "passwd": ["change-password"],
    "password": ["change-password"],
    "print": ["export"],
    "rm": ["remove"],
    "show": ["list"],
  ]

  /// What needs no command here, or has none, in a sentence.
  static let sentences: [String: String] = [
    "break-lock": unlock,
    "cache": cache,
    "copy": "To have a second copy, copy the directory of the repository while no \"yester prune\" runs.",
    "migrate": "There is one format of repositories, and nothing to migrate.",
    "rebuild-index": repair,
    "rewrite": rewrite,
    "self-update": update,
    "serve": "There is no server: a repository is a directory, and \"yester mount\" shows what is in it.",
    "unlock": unlock,
    "update": update,
    "upgrade": update,
  ]

  private static let unlock = """
    Nothing needs to be unlocked: who is at work is shown by "yester status", and what a run left that is gone is \
    removed by the next one.
    """
  private static let repair = """
    "yester repair --rebuild-index" makes the index anew; "yester verify" says what is damaged and what to do.
    """
  private static let update = """
    yester is updated in the way in which it was installed: by its package, or with Scripts/install.
    """
  private static let cache = """
    The local cache looks after itself: everything in it can be deleted, and YESTER_CACHE_DIR says where it lies.
    """
  private static let rewrite = """
    A snapshot is never changed. Make a new one with "yester backup" and --exclude; "yester rotate" removes old ones.
    """
}
