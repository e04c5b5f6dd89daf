/// Lists of options as mount(8), fstab(5) and libfuse take them: commas stand between them, and a backslash takes away
/// the meaning of what comes next.
package enum MountOptionList {
  // By scalars: a comma with a combining accent behind it is one `Character`, and to libfuse a comma all the same.

  /// A value as it can stand in a list.
  package static func escaped(_ value: String) -> String {
    var out = String.UnicodeScalarView()
    for scalar in value.unicodeScalars {
      if scalar == "," || scalar == "\\" { out.append("\\") }
      out.append(scalar)
    }
    return String(out)
  }

  /// The options of a list, without their backslashes. Empty ones are left out.
  package static func split(_ list: String) -> [String] {
    var parts: [String.UnicodeScalarView] = [.init()]
    var isEscaped = false
    for scalar in list.unicodeScalars {
      if isEscaped {
        parts[parts.count - 1].append(scalar)
        isEscaped = false
      } else if scalar == "\\" {
        isEscaped = true
      } else if scalar == "," {
        parts.append(.init())
      } else {
        parts[parts.count - 1].append(scalar)
      }
    }
    return parts.filter { !$0.isEmpty }.map { String($0) }
  }
}
