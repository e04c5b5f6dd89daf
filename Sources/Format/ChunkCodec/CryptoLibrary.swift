internal import COpenSSL

/// OpenSSL as a whole.
package enum CryptoLibrary {
  /// Has it not clean up when the process ends: a thread that still works, as one that renews a lease does, would use what
  /// is being taken down and crash. The system takes everything back anyway. To be called before anything is hashed or
  /// sealed; later it is without effect.
  package static func leaveCleaningUpToTheSystem() {
    _ = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
  }
}
