// What programs read of yester: the JSON that commands print, the files that the mount makes up, and what a service
// will answer (docs/json.md). Each kind of thing has one type here or, where it is the result of an operation, in
// `ResultDocuments`, which says its members once.

/// A thing as a JSON object.
package protocol Document: Sendable {
  /// Writes the members into an object that is open, so that one document can take in those of another.
  func writeMembers(to json: inout JSONWriter)
}

extension Document {
  /// The whole document as text. `indented` is for those that people may look at; a line of a stream has no line break.
  package func text(indented: Bool = true) -> [UInt8] {
    var json = JSONWriter(indented: indented)
    json.value(self)
    return json.text
  }
}

/// Inlinable, so that streams of millions of documents need no generic calls.
extension JSONWriter {
  @inlinable package mutating func value(_ document: some Document) {
    beginObject()
    document.writeMembers(to: &self)
    endObject()
  }

  @inlinable package mutating func field(_ name: String, _ document: some Document) {
    key(name)
    value(document)
  }

  /// Null for nil.
  @inlinable package mutating func field(_ name: String, optional document: (some Document)?) {
    key(name)
    if let document { value(document) } else { null() }
  }

  /// Null for nil.
  @inlinable package mutating func field(_ name: String, optionalNumber number: (some BinaryInteger)?) {
    key(name)
    if let number { value(number) } else { null() }
  }

  @inlinable package mutating func array(_ documents: some Sequence<some Document>) {
    beginArray()
    for document in documents { value(document) }
    endArray()
  }

  @inlinable package mutating func field(_ name: String, array documents: some Sequence<some Document>) {
    key(name)
    array(documents)
  }

  @inlinable package mutating func field(_ name: String, strings: some Sequence<String>) {
    key(name)
    beginArray()
    for string in strings { value(string) }
    endArray()
  }

  @inlinable package mutating func field(_ name: String, strings: some Sequence<[UInt8]>) {
    key(name)
    beginArray()
    for string in strings { value(string) }
    endArray()
  }
}
