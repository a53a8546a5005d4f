using NodaTime;

namespace Platform.Contracts.Verification;

/// <summary>A usage event as its tenant reported it: what a tenant must hold to verify it.</summary>
public sealed record ReportedUsage(
    string Source, string Id, string Type, Instant Time, IReadOnlyDictionary<string, string> Data, string? Subject = null);

/// <summary>The usage events that an invoice counts, bound by one hash.</summary>
/// <param name="Size">How many events.</param>
/// <param name="Root">Over them all (<see cref="UsagePart.Root"/>), SHA-256 in lower-case hexadecimal.</param>
public sealed record UsageTreeHead(long Size, string Root);

/// <summary>What must be known of an invoice to verify usage by it.</summary>
/// <param name="UsageTree">Null while it is a draft.</param>
public sealed record ProvingInvoice(InvoiceId InvoiceId, string? Number, UsageTreeHead? UsageTree);

/// <summary>Proves that an invoice counts an event, and with which corrections. All hashes are lower-case hexadecimal.</summary>
/// <param name="BilledBefore">The event itself is on an earlier invoice; this one counts only the corrections.</param>
/// <param name="Corrections">Those that the invoice counts, in the order in which they were made.</param>
/// <param name="Leaf">The leaf's hash, see <see cref="UsageLeaf"/>.</param>
/// <param name="Part">The part of the tree that the leaf is in.</param>
/// <param name="Index">The leaf's place in its part; 0 for the first.</param>
/// <param name="AuditPath">From the leaf's sibling to the part's root's child.</param>
/// <param name="PartIndex">The part's place; 0 for the first.</param>
/// <param name="PartCount">How many parts there are.</param>
/// <param name="PartPath">From the part's sibling to the child of the root over the parts.</param>
/// <param name="TreeSize">How many events the invoice counts.</param>
public sealed record UsageProof(
    InvoiceId InvoiceId, string Source, string EventId, bool BilledBefore, IReadOnlyList<CountedCorrection> Corrections, string Leaf,
    UsagePart Part, long Index, IReadOnlyList<string> AuditPath, long PartIndex, long PartCount, IReadOnlyList<string> PartPath,
    long TreeSize, string Root)
{
    private const int HashLength = 64;

    /// <summary>
    /// Holds the proof against the event as its tenant reported it and against the invoice, with nothing else: the first fault, or
    /// null where the invoice counts this very event.
    /// </summary>
    public UsageProofFault? Verify(ReportedUsage reported, ProvingInvoice invoice)
    {
        if (invoice.UsageTree is not { } tree)
            return new("invoice_open", "The invoice has no root: it is not finalized.");
        if (InvoiceId != invoice.InvoiceId)
            return new("invoice_differs", "The proof is for another invoice.");
        if (TreeSize != tree.Size)
            return new("size_differs", $"The proof is for a tree of {TreeSize} events, but the invoice counts {tree.Size}.");
        if (Root != tree.Root)
            return new("root_differs", "The proof's root is not the one on the invoice.");
        if (Source != reported.Source || EventId != reported.Id)
            return new("event_differs", "The proof is for another event.");

        var leaf = UsageLeaf.Hash(
            reported.Source, reported.Id, UsageLeaf.ContentHash(reported.Type, reported.Subject, reported.Time, reported.Data),
            BilledBefore, Corrections);
        if (Leaf != Convert.ToHexStringLower(leaf))
            return new("leaf_differs", "The leaf is not the hash of this event and its corrections.");
        if (Part.Type != reported.Type || Part.Hour != UsagePart.HourOf(reported.Time))
            return new("part_differs", "The part is of another type or hour than the event.");
        if (RootFrom(leaf, Index, Part.Size, AuditPath) is not { } part
            || RootFrom(Part.Hash(part), PartIndex, PartCount, PartPath) is not { } parts
            || Root != Convert.ToHexStringLower(UsagePart.Root(TreeSize, PartCount, parts)))
        {
            return new("path_broken", "The paths do not lead from the leaf to the root.");
        }

        return null;
    }

    private static byte[]? RootFrom(byte[] hash, long index, long size, IReadOnlyList<string> path) =>
        path.All(IsHash) ? MerkleTree.RootFrom(hash, index, size, path.Select(Convert.FromHexString)) : null;

    private static bool IsHash(string text) => text.Length == HashLength && text.All(char.IsAsciiHexDigitLower);
}

/// <param name="Code">
/// <c>invoice_open</c>, <c>invoice_differs</c>, <c>size_differs</c>, <c>root_differs</c>, <c>event_differs</c>, <c>leaf_differs</c>,
/// <c>part_differs</c> or <c>path_broken</c>.
/// </param>
/// <param name="Problem">The same for people.</param>
public sealed record UsageProofFault(string Code, string Problem);
