// Published vectors: that the cryptography is the one of docs/format.md and not only consistent with itself.
import RepositoryFormat
import ChunkCodec
import Platform
import Testing

@Suite struct HashVectorTests {
  /// FIPS 180-4 examples of NIST.
  @Test func sha256() {
    #expect(
      SHA256.hash([]).hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    #expect(
      SHA256.hash(Array("abc".utf8)).hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    #expect(
      SHA256.hash(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)).hex
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    )
    let hash = SHA256()
    for _ in 0..<1000 { [UInt8](repeating: 0x61, count: 1000).withUnsafeBytes { hash.update($0) } }
    #expect(hash.finish().hex == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    // It has begun anew.
    #expect(hash.finish() == SHA256.hash([]))
  }

  /// RFC 4231; a shorter key is the same as one with zeros behind it.
  @Test(
    arguments: [
      (
        [UInt8](repeating: 0x0B, count: 20), Array("Hi There".utf8),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
      ),
      (
        Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
      ),
      (
        [UInt8](repeating: 0xAA, count: 20), [UInt8](repeating: 0xDD, count: 50),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
      ),
    ] as [([UInt8], [UInt8], String)]
  )
  func hmac(key: [UInt8], message: [UInt8], expected: String) {
    let hash = KeyedHash(key: key + [UInt8](repeating: 0, count: 32 - key.count))
    #expect(message.withUnsafeBytes { hash.hash($0) }.hex == expected)
    // The object can be used again.
    #expect(message.withUnsafeBytes { hash.hash($0) }.hex == expected)
  }

  /// Made with Python's hmac and hashlib from docs/format.md, section 5.
  @Test func chunkIDs() {
    let hash = KeyedHash(key: (0..<32).map { UInt8($0) })
    let digest = SHA256.hash(Array("abc".utf8))
    #expect(
      hash.chunkID(digest, kind: .data).hex == "e65ae77cbadc0ecf573fc3a83befd5a5dad5800ff2b03ec607b6194053b1ecaa"
    )
    #expect(
      hash.chunkID(digest, kind: .tree).hex == "8bcea3294327b0ebf4e6035a9fa44ae9997748ae84b77de3fc35294c164b863b"
    )
  }
}

@Suite struct KeyVectorTests {
  /// RFC 5869, appendix A: the first 32 bytes of each output.
  @Test func hkdf() {
    let first = KeyDerivation.hkdf(
      [UInt8](repeating: 0x0B, count: 22),
      salt: hex("000102030405060708090a0b0c"),
      info: hex("f0f1f2f3f4f5f6f7f8f9")
    )
    #expect(Hex.encode(first) == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")
    let second = KeyDerivation.hkdf(
      (0x00...0x4F).map { UInt8($0) },
      salt: (0x60...0xAF).map { UInt8($0) },
      info: (0xB0...0xFF).map { UInt8($0) }
    )
    #expect(Hex.encode(second) == "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c")
    let third = KeyDerivation.hkdf([UInt8](repeating: 0x0B, count: 22), salt: [], info: [])
    #expect(Hex.encode(third) == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d")
  }

  /// RFC 7914, section 12: the first 32 bytes.
  @Test func scrypt() {
    let key = KeyDerivation.scrypt(
      password: Array("pleaseletmein".utf8),
      salt: Array("SodiumChloride".utf8),
      log2N: 14,
      r: 8,
      p: 1
    )
    #expect(key == hex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"))
    let other = KeyDerivation.scrypt(
      password: Array("password".utf8),
      salt: Array("NaCl".utf8),
      log2N: 10,
      r: 8,
      p: 16
    )
    #expect(other == hex("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"))
    #expect(KeyDerivation.scrypt(password: [], salt: [], log2N: 10, r: 1, p: 1)?.count == 32)
  }

  /// RFC 8032, section 7.1, tests 1 and 2.
  @Test(
    arguments: [
      (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
      ),
      (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
      ),
    ])
  func ed25519(secret: String, publicKey: String, message: String, signature: String) {
    #expect(KeyPair(.ed25519, privateKey: hex(secret))?.publicKey == hex(publicKey))
    let made = Ed25519.sign(hex(message), privateKey: hex(secret))
    #expect(made == hex(signature))
    #expect(Ed25519.verify(made, of: hex(message), publicKey: hex(publicKey)))
    #expect(!Ed25519.verify(made, of: hex(message) + [0], publicKey: hex(publicKey)))
    #expect(
      offsetsThatMayChange(in: made) {
        if !Ed25519.verify($0, of: hex(message), publicKey: hex(publicKey)) { throw AuthenticationFailure() }
      } == []
    )
    #expect(!Ed25519.verify(Array(made.dropLast()), of: hex(message), publicKey: hex(publicKey)))
    #expect(!Ed25519.verify(made, of: hex(message), publicKey: []))
  }

  /// RFC 7748, section 5.2, with 1 and 1000 rounds.
  @Test func x25519() {
    #expect(
      X25519.sharedSecret(
        privateKey: hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
        publicKey: hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
      )
        == hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    )
    var k = [9] + [UInt8](repeating: 0, count: 31)
    var u = k
    for round in 1...1000 {
      let next = X25519.sharedSecret(privateKey: k, publicKey: u) ?? []
      (u, k) = (k, next)
      if round == 1 { #expect(k == hex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")) }
    }
    #expect(k == hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"))
  }

  @Test func x25519RefusesKeysThatGiveNothing() {
    let pair = KeyPair.generate(.x25519)
    let zero = [UInt8](repeating: 0, count: 32)
    #expect(X25519.sharedSecret(privateKey: pair.privateKey, publicKey: zero) == nil)
    #expect(X25519.sharedSecret(privateKey: pair.privateKey, publicKey: [1] + zero.dropLast()) == nil)
    #expect(X25519.sharedSecret(privateKey: pair.privateKey, publicKey: [1, 2, 3]) == nil)
    #expect(X25519.sharedSecret(privateKey: [], publicKey: pair.publicKey) == nil)
  }
}

@Suite struct AESGCMVectorTests {
  /// Cases 13, 14 and 16 of McGrew and Viega, "The Galois/Counter Mode of Operation".
  @Test func knownAnswers() throws {
    let cipher = AESGCM()
    let zero = [UInt8](repeating: 0, count: 32)
    #expect(cipher.seal([], key: zero, authenticating: []) == hex("530f8afbc74536b9a963b4f1c4cb738b"))
    #expect(
      cipher.seal(Array(zero.prefix(16)), key: zero, authenticating: [])
        == hex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
    )
    let key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
    let plain = hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
        + "b16aedf5aa0de657ba637b39"
    )
    // The nonce cafebabe facedbad decaf888 as the little-endian integers of the format.
    let nonce = Nonce(0xBEBA_FECA, 0x88F8_CADE_ADDB_CEFA)
    let extra = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    let sealed = cipher.seal(plain, key: key, nonce: nonce, authenticating: extra)
    #expect(
      Hex.encode(sealed)
        == "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
        + "c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
    )
    #expect(try cipher.open(sealed, key: key, nonce: nonce, authenticating: extra) == plain)
  }

  @Test func everythingIsAuthenticated() throws {
    let cipher = AESGCM()
    let key = System.random(32)
    let sealed = cipher.seal(Array("plain text".utf8), key: key, nonce: Nonce(1, 2), authenticating: [1, 2, 3])
    func open(
      _ bytes: [UInt8],
      _ key: [UInt8],
      _ nonce: Nonce = Nonce(1, 2),
      _ extra: [UInt8] = [1, 2, 3]
    ) throws {
      _ = try cipher.open(bytes, key: key, nonce: nonce, authenticating: extra)
    }
    try open(sealed, key)
    #expect(offsetsThatMayChange(in: sealed) { try open($0, key) } == [])
    #expect(offsetsThatMayChange(in: key) { try open(sealed, $0) } == [])
    #expect(offsetsThatMayChange(in: [1, 2, 3]) { try open(sealed, key, Nonce(1, 2), $0) } == [])
    #expect(lengthsTaken(of: sealed) { try open($0, key) } == [])
    for nonce in [Nonce(1, 3), Nonce(2, 2), Nonce(2, 1), Nonce()] {
      #expect(throws: AuthenticationFailure.self) { try open(sealed, key, nonce) }
    }
    #expect(throws: AuthenticationFailure.self) { try open(sealed, key, Nonce(1, 2), []) }
    // A failure leaves nothing behind.
    try open(sealed, key)
  }
}
