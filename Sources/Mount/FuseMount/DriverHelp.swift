/// What `yesterfs --help` says.
package enum DriverHelp {
  package static let text = """
    yesterfs shows the snapshots of a yester repository as directories.

    usage: yesterfs REPOSITORY MOUNTPOINT [-o OPTION[,OPTION...]] [-f]
           mount -t fuse.yesterfs REPOSITORY MOUNTPOINT [-o OPTION[,OPTION...]]
           umount MOUNTPOINT, or as an ordinary user: fusermount3 -u MOUNTPOINT

      -f, --foreground         stay in the foreground, messages on stderr
      -h, --help               show this text
      -V, --version            show the version

    options after -o:
      key_file=FILE            open the repository with a key file
      password_file=FILE       read the password from a file
      password_command=COMMAND run a command that prints the password (commas as \\,)
      password_fd=NUMBER       read the password from an open descriptor
      host=NAME                show the snapshots of this host
      all-hosts                show a directory for each host
      names=all                list every snapshot by its own name, also where it is all of its day
      cache_size=SIZE          memory for decoded data, such as 256M; without a unit in MiB
      uid=NUMBER, gid=NUMBER   show everything as owned by this user, this group
      umask=OCTAL              take these permissions away from everything
      allow_other              let other users in (for root the default; others need user_allow_other
                               in /etc/fuse.conf)
      no_allow_other           let nobody else in
      allow_suid, allow_dev    let set-uid programs and devices in snapshots take effect
      noexec                   no programs are run from the mount
      nonempty                 mount over a directory that has content
      threads=NUMBER           threads that answer requests (2 to 4 by default)
      foreground               as -f
    Options of mount(8) and fstab (ro, noauto, nofail, _netdev, user, x-..., and so on) are accepted. The mount is
    always read-only; suid and dev are ignored, because mount.fuse3 adds them on its own.

    exit status: 0 mounted (with -f: unmounted), 1 failed, 2 usage, 10 no repository there, 11 wrong key,
      12 busy, 13 damage found

    """
}
