package import Reporting

/// The code of the `YesterError` that `body` throws.
package func errorCode(_ body: () throws -> Void) -> YesterError.Code? {
  do {
    try body()
  } catch {
    return (error as? YesterError)?.code
  }
  return nil
}

package func errorMessage(_ body: () throws -> Void) -> String {
  do {
    try body()
  } catch {
    return "\(error)"
  }
  return "no error"
}
