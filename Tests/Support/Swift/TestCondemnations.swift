package import RepositoryCore
package import RepositoryFormat

extension Repository {
  /// Condemns packs, as a prune does that finds nothing that needs them.
  package func condemn(_ packs: ObjectID..., since: Int64 = 1000) throws {
    let before = try readCondemned()
    var list = before
    for pack in packs { list.packs[pack] = CondemnedList.Condemnation(list: 0, since: since) }
    try storeCondemned(list, after: before)
  }
}
