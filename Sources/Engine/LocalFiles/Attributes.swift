package import Platform
package import Reporting
internal import RepositoryFormat

/// Extended attributes as a snapshot stores them.
package enum Attributes {
  /// What could be read, and a problem for each attribute that could not; none where they are too large together. Only
  /// a file that is gone throws.
  package static func read(
    _ path: [UInt8], _ problems: inout [PathProblem], _ read: () throws(Errno) -> ExtendedAttributes.Reading
  ) throws(Errno) -> [ExtendedAttribute] {
    let reading: ExtendedAttributes.Reading
    do throws(Errno) {
      reading = try read()
    } catch {
      if error == .notFound { throw error }
      problems.append(PathProblem(.metadata, path, "its extended attributes cannot be read: \(error)"))
      return []
    }
    for (name, error) in reading.failures {
      let attribute = printable(name).dropFirst()
      problems.append(PathProblem(.metadata, path, "its extended attribute \(attribute) cannot be read: \(error)"))
    }
    let size = reading.attributes.reduce(0) { $0 + $1.name.count + $1.value.count }
    guard size <= Limits.attributesSizeMax else {
      problems.append(PathProblem(.metadata, path, "its extended attributes are larger than 4 MiB and were left out"))
      return []
    }
    return reading.attributes
  }

  /// Of a directory that is only on the way to a source: what the user may not read of it is not theirs to back up.
  package static func read(
    passage directory: Descriptor, _ path: [UInt8], _ problems: inout [PathProblem]
  ) throws(Errno) -> [ExtendedAttribute] {
    try read(path, &problems) { () throws(Errno) in
      do throws(Errno) {
        // The descriptor may be good for passing through only.
        var reading = try ExtendedAttributes.readEach([0x2E], at: directory)
        reading.failures.removeAll { $0.error == .denied || $0.error == .notPermitted }
        return reading
      } catch {
        guard error == .denied || error == .notPermitted else { throw error }
        return ExtendedAttributes.Reading()
      }
    }
  }
}
