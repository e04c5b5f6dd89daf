internal import DirectoryStores
internal import ObjectStores

/// The kinds of store that this program has.
enum LinkedStores {
  static let registry = StoreRegistry([.directory])
}
