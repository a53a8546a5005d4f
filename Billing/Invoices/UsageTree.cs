using Npgsql;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>
/// The Merkle tree over the usage events that an invoice counts. Its root is on the invoice; kept are the roots of its chunks, of
/// which the last may be smaller, so that a proof reads one chunk of the ledger.
/// </summary>
/// <param name="Positions">The ledger position of each chunk's first event.</param>
/// <param name="Roots">The root of each chunk; the root over these is the tree's.</param>
public sealed record UsageTree(InvoicedUsage Usage, long[] Positions, byte[][] Roots)
{
    // A power of two, so that a chunk is a subtree.
    internal const int ChunkSize = 1024;

    /// <summary>Reads the usage once, in the order of the ledger.</summary>
    public static async Task<(UsageTree Tree, UsageTreeHead Head)> Of(
        NpgsqlConnection connection, TenantId tenant, InvoicedUsage usage, CancellationToken cancellation)
    {
        var (size, positions, roots, chunk) = (0L, new List<long>(), new List<byte[]>(), new GrowingMerkleTree());
        await foreach (var leaf in usage.Leaves(connection, tenant, from: 0, usage.Through, cancellation))
        {
            if (chunk.Size == 0)
                positions.Add(leaf.Position);
            chunk.Add(leaf.Hash());
            size++;
            if (chunk.Size == ChunkSize)
            {
                roots.Add(chunk.Root());
                chunk = new();
            }
        }

        if (chunk.Size > 0)
            roots.Add(chunk.Root());
        var tree = new UsageTree(usage, [.. positions], [.. roots]);
        return (tree, new(size, Convert.ToHexStringLower(MerkleTree.Root(tree.Roots))));
    }

    public static async Task<UsageTree?> Find(
        NpgsqlConnection connection, TenantId tenant, InvoiceId invoice, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            """
            select types, since, until, period_starts, period_ends, usage_after, usage_through, chunk_positions, chunk_roots
            from billing.usage_trees where tenant_id = $1 and invoice_id = $2
            """,
            Sql.P(tenant.Value), Sql.P(invoice.Value));
        await using var row = await command.ExecuteReaderAsync(cancellation);
        if (!await row.ReadAsync(cancellation))
            return null;

        var (since, until, starts, ends) = (row.Instants(1), row.Instants(2), row.Instants(3), row.Instants(4));
        var after = row.GetFieldValue<long[]>(5);
        return new(
            new(
                [
                    .. row.GetFieldValue<string[]>(0).Select((type, index) => new BilledType(
                        type, since[index], until[index], new BillingPeriod(starts[index], ends[index]), after[index])),
                ],
                row.GetInt64(6)),
            row.GetFieldValue<long[]>(7), row.GetFieldValue<byte[][]>(8));
    }

    /// <summary>Where the event at a ledger position stands in the tree, and what leads from there to the root.</summary>
    /// <returns>Null where the invoice does not count it.</returns>
    public async Task<(InvoicedUsage.Leaf Leaf, long Index, IReadOnlyList<byte[]> Path)?> Locate(
        NpgsqlConnection connection, TenantId tenant, long position, CancellationToken cancellation)
    {
        var chunk = Array.FindLastIndex(Positions, first => first <= position);
        if (chunk < 0)
            return null;

        var last = chunk + 1 < Positions.Length ? Positions[chunk + 1] - 1 : Usage.Through;
        var leaves = await Usage.Leaves(connection, tenant, Positions[chunk], last, cancellation).ToListAsync(cancellation);
        var index = leaves.FindIndex(leaf => leaf.Position == position);
        if (index < 0)
            return null;

        byte[][] hashes = [.. leaves.Select(leaf => leaf.Hash())];
        return (
            leaves[index], (long)chunk * ChunkSize + index, [.. MerkleTree.PathOf(index, hashes), .. MerkleTree.PathOf(chunk, Roots)]);
    }

    /// <summary>Keeps it beside the invoice.</summary>
    public void Record(RoundTrip together, TenantId tenant, InvoiceId invoice) => together.Write(
            """
            insert into billing.usage_trees
                (tenant_id, invoice_id, types, since, until, period_starts, period_ends, usage_after, usage_through, chunk_positions,
                 chunk_roots)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            """,
            [
                Sql.P(tenant.Value), Sql.P(invoice.Value), .. Usage.Columns(), Sql.P(Usage.Through),
                new NpgsqlParameter<long[]> { TypedValue = Positions }, new NpgsqlParameter<byte[][]> { TypedValue = Roots },
            ]);
}
