import ChunkCodec
import Platform
import RepositoryFormat
import TestSupport
import Testing

private let frame = IndexLayout.frameSize
private let sealedFrame = IndexLayout.frameSize + AESGCM.tagSize
private let header = IndexLayout.segmentHeaderSize

/// Seals and signs `body`, given in parts of `part` bytes.
private func seal(_ body: [UInt8], part: Int = .max, _ keyring: Keyring = Keys.writeOnly) -> [UInt8] {
  var sealer = IndexSealer(keyring)
  var out = sealer.header
  var at = 0
  while at < body.count {
    let count = min(part, body.count - at)
    body[at..<(at + count)].withUnsafeBytes { sealer.write($0) { out += $0 } }
    at += count
  }
  out += sealer.finish()
  return sign(out, keyring)
}

private func sign(_ bytes: [UInt8], _ keyring: Keyring = Keys.writeOnly) -> [UInt8] {
  bytes + IndexSignature.make(SHA256.hash(bytes), keyring)
}

private func open(_ bytes: [UInt8], _ keyring: Keyring = Keys.full) throws(FormatError) -> [UInt8] {
  guard bytes.count > IndexLayout.signatureSize else { throw FormatError("cut off") }
  let signed = Array(bytes.dropLast(IndexLayout.signatureSize))
  let writer: [UInt8]
  let out: [UInt8]
  (out, writer) = try openFrames(signed, keyring)
  let signature = Array(bytes.suffix(IndexLayout.signatureSize))
  guard IndexSignature.isValid(signature, of: SHA256.hash(signed), by: writer) else { throw FormatError("forged") }
  return out
}

private func openFrames(
  _ bytes: [UInt8], _ keyring: Keyring = Keys.full
) throws(FormatError) -> (body: [UInt8], writer: [UInt8]) {
  var at = 0
  var out: [UInt8] = []
  let writer = try IndexOpener.open(
    keyring,
    read: { (count: Int) throws(FormatError) -> [UInt8] in
      defer { at = min(bytes.count, at + count) }
      return Array(bytes[at..<min(bytes.count, at + count)])
    },
    emit: { (part: [UInt8]) throws(FormatError) in out += part },
    damaged: { $0 }
  )
  return (out, writer)
}

@Suite struct IndexSealingTests {
  @Test(arguments: [0, 1, 100, frame - 1, frame, frame + 1, 2 * frame, 3 * frame])
  func bodiesComeBack(size: Int) throws {
    var random = SeededGenerator()
    let body = random.bytes(size)
    for part in [Int.max, 100_003, frame] {
      let sealed = seal(body, part: part)
      let frames = max(1, (size + frame - 1) / frame)
      #expect(sealed.count == header + size + frames * AESGCM.tagSize + IndexLayout.signatureSize)
      #expect(try open(sealed) == body, "seed \(SeededGenerator.seed)")
    }
  }

  @Test func everyByteOfASmallSegmentCounts() throws {
    let sealed = seal(System.random(150))
    #expect(offsetsThatMayChange(in: sealed) { _ = try open($0) } == [])
    #expect(lengthsTaken(of: sealed) { _ = try open($0) } == [])
    #expect(lengthsTaken(of: seal([])) { _ = try open($0) } == [])
  }

  @Test func framesCannotBeTakenAwaySwappedOrDoubled() throws {
    let sealed = seal(System.random(3 * frame)).dropLast(IndexLayout.signatureSize)
    let start = Array(sealed[..<header])
    func open(_ bytes: [UInt8]) throws -> [UInt8] { try openFrames(bytes).body }
    let frames = (0..<3).map { Array(sealed[(header + $0 * sealedFrame)..<(header + ($0 + 1) * sealedFrame)]) }
    #expect(try open(start + frames[0] + frames[1] + frames[2]).count == 3 * frame)
    let orders = [
      [], [0], [1], [2], [0, 1], [0, 2], [1, 2], [1, 0, 2], [0, 2, 1], [2, 1, 0], [0, 0, 1, 2], [0, 1, 2, 2],
      [0, 1, 2, 0],
    ]
    for order in orders {
      #expect(throws: FormatError.self) { try open(start + order.flatMap { frames[$0] }) }
    }
    // A whole frame more, of zeros, and a frame of another segment in its place.
    #expect(throws: FormatError.self) { try open(sealed + [UInt8](repeating: 0, count: sealedFrame)) }
    let other = seal(System.random(3 * frame)).dropLast(IndexLayout.signatureSize)
    #expect(throws: FormatError.self) {
      try open(Array(sealed[..<(header + sealedFrame)] + other[(header + sealedFrame)...]))
    }
  }

  @Test func aSegmentCannotBeCutOff() {
    let sealed = seal([UInt8](repeating: 1, count: frame + 10)).dropLast(IndexLayout.signatureSize)
    func open(_ bytes: [UInt8]) throws -> [UInt8] { try openFrames(bytes).body }
    let lengths = [
      0, 1, 31, 32, header - 1, header, header + 1, header + 15, header + 16, header + sealedFrame - 1,
      header + sealedFrame,
      header + sealedFrame + 1, header + sealedFrame + 16, sealed.count - 1,
    ]
    for length in lengths { #expect(throws: FormatError.self) { try open(Array(sealed[..<length])) } }
    let exact = seal([UInt8](repeating: 1, count: 2 * frame)).dropLast(IndexLayout.signatureSize)
    #expect(throws: FormatError.self) { try open(Array(exact[..<(header + sealedFrame)])) }
  }

  @Test func aChangedByteInAnyFrameIsFound() {
    let sealed = seal([UInt8](repeating: 1, count: 2 * frame + 10))
    for offset in [header, header + sealedFrame - 1, header + sealedFrame, header + 2 * sealedFrame, sealed.count - 1] {
      var changed = sealed
      changed[offset] ^= 1
      #expect(throws: FormatError.self) { try open(changed) }
    }
  }

  @Test func itTellsWhoHasMadeIt() throws {
    let sealed = Array(seal([1, 2, 3]).dropLast(IndexLayout.signatureSize))
    #expect(try openFrames(sealed).writer == Keys.writeOnly.writer.publicKey)
    let digest = SHA256.hash(sealed)
    let signature = IndexSignature.make(digest, Keys.writeOnly)
    #expect(IndexSignature.isValid(signature, of: digest, by: Keys.writeOnly.writer.publicKey))
    #expect(!IndexSignature.isValid(signature, of: digest, by: Keys.full.writer.publicKey))
    #expect(!IndexSignature.isValid(signature, of: SHA256.hash([1]), by: Keys.writeOnly.writer.publicKey))
    // Whoever writes in another's name cannot sign in it.
    #expect(throws: FormatError.self) { try open(sign(sealed, Keys.otherWriteOnly)) }
  }

  @Test func onlyKeysOfTheRepositoryOpenIt() throws {
    let sealed = seal([1, 2, 3])
    for keyring in [Keys.full, Keys.writeOnly, Keys.otherWriteOnly] { #expect(try open(sealed, keyring) == [1, 2, 3]) }
    for keyring in [Keys.stranger, Keys.otherRepository] {
      #expect(throws: FormatError.self) { try open(sealed, keyring) }
    }
    let rotated = Keys.rotated[0]
    #expect(try open(sealed, rotated) == [1, 2, 3])
    #expect(throws: FormatError.self) { try open(seal([1], rotated)) }
  }
}
