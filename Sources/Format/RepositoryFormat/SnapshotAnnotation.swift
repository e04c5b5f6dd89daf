package import Platform

/// What somebody says of a snapshot after it was made, in place of what its record says: field 64 of a note
/// (docs/format.md, section 8.3). The record itself never changes.
package struct SnapshotAnnotation: Sendable, Equatable {
  package var snapshot: ObjectID
  /// Grows with each annotation of a snapshot, so that their order needs no clock. 1 to `Limits.sequenceMax`.
  package var revision: UInt64
  /// Nil leaves what was said before; an empty text takes it away. Each has `Limits.textSizeMax` bytes at most.
  package var summary: String?
  package var purpose: String?
  package var notes: String?
  package var changeTicket: String?
  /// Tags that go, and tags that come, in this order. Each has 1 to `Limits.tagSizeMax` bytes.
  package var removedTags: [String] = []
  package var addedTags: [String] = []

  package init(snapshot: ObjectID, revision: UInt64) {
    self.snapshot = snapshot
    self.revision = revision
  }

  /// Whether it says nothing.
  package var isEmpty: Bool {
    summary == nil && purpose == nil && notes == nil && changeTicket == nil && removedTags.isEmpty && addedTags.isEmpty
  }

  /// In the order of their bits.
  private var texts: [String?] { [summary, purpose, notes, changeTicket] }

  func encode(to out: inout ByteWriter) {
    out.id(snapshot)
    out.varint(revision)
    var present: UInt8 = 0
    for (bit, text) in texts.enumerated() where text != nil { present |= 1 << UInt8(bit) }
    out.u8(present)
    for text in texts { if let text { out.string(Array(text.utf8)) } }
    for tags in [removedTags, addedTags] {
      out.varint(tags.count)
      for tag in tags { out.string(Array(tag.utf8)) }
    }
  }

  init(_ reader: inout ByteReader) throws(FormatError) {
    snapshot = try reader.id()
    revision = try reader.varint()
    let present = try reader.u8()
    guard (1...Limits.sequenceMax).contains(revision), present < 1 << 4 else {
      throw FormatError("the annotation is damaged")
    }
    summary = try Self.text(&reader, isPresent: present & 1 != 0)
    purpose = try Self.text(&reader, isPresent: present & 2 != 0)
    notes = try Self.text(&reader, isPresent: present & 4 != 0)
    changeTicket = try Self.text(&reader, isPresent: present & 8 != 0)
    removedTags = try Self.tags(&reader)
    addedTags = try Self.tags(&reader)
  }

  private static func text(_ reader: inout ByteReader, isPresent: Bool) throws(FormatError) -> String? {
    guard isPresent else { return nil }
    return try reader.text(limit: Limits.textSizeMax)
  }

  private static func tags(_ reader: inout ByteReader) throws(FormatError) -> [String] {
    let count = try reader.count(limit: Limits.annotationTagsMax)
    var out: [String] = []
    for _ in 0..<count {
      let tag = try reader.text(limit: Limits.tagSizeMax)
      guard !tag.isEmpty else { throw FormatError("a tag in it is empty") }
      out.append(tag)
    }
    return out
  }
}

extension ByteReader {
  /// A text that must be UTF-8.
  package mutating func text(limit: Int) throws(FormatError) -> String {
    guard let text = String(validating: try string(limit: limit), as: UTF8.self) else {
      throw FormatError("a text in it is not UTF-8")
    }
    return text
  }
}
