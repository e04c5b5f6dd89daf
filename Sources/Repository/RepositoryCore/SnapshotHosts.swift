internal import RepositoryFormat
internal import Platform
package import Reporting

/// Whose snapshots there are, for those who look for some and find none.
extension SnapshotCatalog {
  /// So many hosts are named in a message.
  private static let namedMax = 12

  /// The hosts that have snapshots, by name, with how many.
  package var hosts: [(name: String, count: Int)] {
    Dictionary(grouping: snapshots, by: \.record.host).map { ($0.key, $0.value.count) }
      .sorted { $0.name < $1.name }
  }

  /// What to say when a host has no snapshots: error 1, with the hosts that have some; nil when it has. `option` is how
  /// to name another one.
  package func absence(ofHost host: String, option: String = "--host ") -> YesterError? {
    guard !snapshots.contains(where: { $0.record.host == host }) else { return nil }
    let whose = host == System.hostName ? "this host (\(Self.shown(host)))" : "the host \(Self.shown(host))"
    return YesterError(.failed, "There are no snapshots of \(whose)", advice: advice(option))
  }

  private func advice(_ option: String) -> String {
    let hosts = hosts
    guard let last = snapshots.last?.record.host else {
      return foreignCount > 0
        ? "A write-only key sees only the snapshots that it made." : "Make one with \"yester backup\"."
    }
    let named = hosts.prefix(Self.namedMax).map { "\(Self.shown($0.name)) (\($0.count))" }
    let more = hosts.count > named.count ? " and \(hosts.count - named.count) more hosts" : ""
    return "The repository has snapshots of: \(named.joined(separator: ", "))\(more). "
      + "Choose one, as with \(option)\(Self.shown(last))."
  }

  /// A record may name anything as its host.
  private static func shown(_ text: String) -> String {
    String(text.map { $0.unicodeScalars.contains { $0.properties.generalCategory == .control } ? "?" : $0 })
  }

  /// When a snapshot of this name, or whose id begins so, was removed: a sentence without its full stop; nil when no
  /// note tells.
  package func removal(of text: String) -> String? {
    for (_, note, envelope) in notes.reversed() where note.kind == .removed && envelope.isFullWriter {
      for (index, subject) in note.subjects.enumerated() {
        let isNamed = index < note.names.count && note.names[index] == text
        guard isNamed || (text.utf8.count >= 8 && subject.snapshot.hex.hasPrefix(text)) else { continue }
        let how = note.text.isEmpty ? "" : ", by \(Self.shown(note.text))"
        return "The snapshot \(text) was removed on \(note.time.iso8601(offset: note.time.localOffset)) by "
          + "\(Self.shown(note.by))\(how)"
      }
    }
    return nil
  }
}
