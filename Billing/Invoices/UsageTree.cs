using NodaTime;
using Npgsql;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>
/// The tree over the usage events that an invoice counts (<see cref="UsagePart"/>). Its root is on the invoice; kept are the roots of its
/// parts, so that a proof reads one part of the ledger.
/// </summary>
public sealed record UsageTree(InvoicedUsage Usage, IReadOnlyList<UsageTree.TreePart> Parts)
{
    /// <param name="FirstPosition">Where the ledger has its first event.</param>
    /// <param name="Root">Of the tree over its events.</param>
    public sealed record TreePart(UsagePart Part, long FirstPosition, byte[] Root);

    /// <summary>Where an event stands in the tree, and what leads from there to the root.</summary>
    public sealed record Place(
        InvoicedUsage.Leaf Leaf, UsagePart Part, int Index, IReadOnlyList<byte[]> Path, int PartIndex, int PartCount,
        IReadOnlyList<byte[]> PartPath);

    private byte[][] Hashes => [.. Parts.Select(it => it.Part.Hash(it.Root))];

    public UsageTreeHead Head
    {
        get
        {
            var size = Parts.Sum(it => (long)it.Part.Size);
            return new(size, Convert.ToHexStringLower(UsagePart.Root(size, Parts.Count, MerkleTree.Root(Hashes))));
        }
    }

    /// <summary>From each event.</summary>
    public static async Task<UsageTree> OfEvents(
        NpgsqlConnection connection, TenantId tenant, InvoicedUsage usage, CancellationToken cancellation) =>
        new(usage, await PartsOf(usage.Leaves(connection, tenant, hours: null, cancellation), cancellation));

    /// <summary>
    /// The same from what is bound of whole hours already: only of hours that a period cuts, or of which something came late or was
    /// corrected, each event is read. In a transaction that holds the tenant's lane and has bound the ledger to its end.
    /// </summary>
    /// <param name="together">Sent before events are read.</param>
    /// <param name="hours">Those that it counts something of.</param>
    public static async Task<UsageTree> OfSeals(
        RoundTrip together, TenantId tenant, InvoicedUsage usage, IReadOnlyList<InvoicedUsage.CountedHour> hours,
        CancellationToken cancellation)
    {
        var parts = hours.Where(it => it.Seal is not null)
            .Select(it => new TreePart(new(it.Type, it.Hour, it.Seal!.Size), it.Seal.FirstPosition, it.Seal.Root)).ToList();
        if (hours.Where(it => it.Seal is null).Select(it => (it.Type, it.Hour)).ToList() is { Count: > 0 } looked)
        {
            await together.Send(cancellation);
            parts.AddRange(await PartsOf(usage.Leaves(together.Connection, tenant, looked, cancellation), cancellation));
            parts = [.. parts.OrderBy(it => it.Part.Type, StringComparer.Ordinal).ThenBy(it => it.Part.Hour).ThenBy(it => it.FirstPosition)];
        }

        return new(usage, parts);
    }

    public static async Task<UsageTree?> Find(
        NpgsqlConnection connection, TenantId tenant, InvoiceId invoice, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            """
            select types, since, until, period_starts, period_ends, usage_after, usage_through,
                   part_types, part_hours, part_positions, part_sizes, part_roots
            from billing.usage_trees where tenant_id = $1 and invoice_id = $2
            """,
            Sql.P(tenant.Value), Sql.P(invoice.Value));
        await using var row = await command.ExecuteReaderAsync(cancellation);
        if (!await row.ReadAsync(cancellation))
            return null;

        var (since, until, starts, ends) = (row.Instants(1), row.Instants(2), row.Instants(3), row.Instants(4));
        var after = row.GetFieldValue<long[]>(5);
        var usage = new InvoicedUsage(
            [
                .. row.GetFieldValue<string[]>(0).Select((type, index) => new BilledType(
                    type, since[index], until[index], new BillingPeriod(starts[index], ends[index]), after[index])),
            ],
            row.GetInt64(6));
        var (hours, positions, sizes) = (row.Instants(8), row.GetFieldValue<long[]>(9), row.GetFieldValue<int[]>(10));
        byte[][] roots = [.. row.GetFieldValue<byte[]>(11).Chunk(32)];
        return new(
            usage,
            [
                .. row.GetFieldValue<string[]>(7).Select((type, index) => new TreePart(
                    new(type, hours[index], sizes[index]), positions[index], roots[index])),
            ]);
    }

    /// <summary>Where an event of the ledger stands in the tree.</summary>
    /// <returns>Null where the invoice does not count it.</returns>
    public async Task<Place?> Locate(
        NpgsqlConnection connection, TenantId tenant, string type, Instant time, long position, CancellationToken cancellation)
    {
        var hour = UsagePart.HourOf(time);
        var place = Parts.ToList().FindLastIndex(it => it.Part.Type == type && it.Part.Hour == hour && it.FirstPosition <= position);
        if (place < 0)
            return null;

        var (part, first, _) = Parts[place];
        var leaves = new List<InvoicedUsage.Leaf>(part.Size);
        await foreach (var leaf in Usage.Leaves(connection, tenant, [(type, hour)], cancellation))
        {
            if (leaf.Position >= first && leaves.Count < part.Size)
                leaves.Add(leaf);
        }

        var index = leaves.FindIndex(leaf => leaf.Position == position);
        if (index < 0)
            return null;

        byte[][] hashes = [.. leaves.Select(leaf => leaf.Hash())];
        return new(
            leaves[index], part, index, MerkleTree.PathOf(index, hashes), place, Parts.Count, MerkleTree.PathOf(place, Hashes));
    }

    /// <summary>Keeps it beside the invoice.</summary>
    public void Record(RoundTrip together, TenantId tenant, InvoiceId invoice) => together.Write(
        """
        insert into billing.usage_trees
            (tenant_id, invoice_id, types, since, until, period_starts, period_ends, usage_after, usage_through,
             part_types, part_hours, part_positions, part_sizes, part_roots)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        """,
        [
            Sql.P(tenant.Value), Sql.P(invoice.Value), .. Usage.Columns(), Sql.P(Usage.Through),
            Sql.P([.. Parts.Select(it => it.Part.Type)]), Sql.P([.. Parts.Select(it => it.Part.Hour)]),
            Sql.P([.. Parts.Select(it => it.FirstPosition)]), Sql.P([.. Parts.Select(it => it.Part.Size)]),
            new NpgsqlParameter<byte[]> { TypedValue = [.. Parts.SelectMany(it => it.Root)] },
        ]);

    private static async Task<IReadOnlyList<TreePart>> PartsOf(
        IAsyncEnumerable<InvoicedUsage.Leaf> leaves, CancellationToken cancellation)
    {
        var parts = new List<TreePart>();
        var (tree, first) = (new GrowingMerkleTree(), default(InvoicedUsage.Leaf));
        await foreach (var leaf in leaves.WithCancellation(cancellation))
        {
            if (first is not null && (tree.Size == UsagePart.SizeMax || (leaf.Type, leaf.Hour) != (first.Type, first.Hour)))
            {
                Add(first);
                (tree, first) = (new(), null);
            }

            first ??= leaf;
            tree.Add(leaf.Hash());
        }

        if (first is not null)
            Add(first);
        return parts;

        void Add(InvoicedUsage.Leaf of) => parts.Add(new(new(of.Type, of.Hour, (int)tree.Size), of.Position, tree.Root()));
    }
}
