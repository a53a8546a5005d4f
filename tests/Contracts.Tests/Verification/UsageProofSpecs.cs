using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NodaTime;
using Platform.Contracts.Verification;
using Platform.Testing;

namespace Platform.Contracts.Tests.Verification;

public class UsageProofSpecs
{
    private static readonly ReportedUsage Reported = new(
        "isv/acme", "call-1", "inference.call", Samples.Noon,
        new Dictionary<string, string> { ["calls"] = "12.50", ["model"] = "größe" }, Subject: "job/1");

    private static readonly CountedCorrection Amended = new(
        Guid.Parse("0198c0de-0000-7000-8000-00000000000a"), "was too high", "api-key/1", Samples.Noon + Duration.FromHours(1),
        Reported.Data, new Dictionary<string, string> { ["calls"] = "7" });

    private static readonly CountedCorrection Voided = Amended with
    {
        CorrectionId = Guid.Parse("0198c0de-0000-7000-8000-00000000000b"),
        Reason = "never happened",
        Before = Amended.After!,
        After = null,
    };

    private static readonly (UsageProof Proof, ProvingInvoice Invoice) Proved = Prove(index: 5, size: 11, [Amended, Voided]);

    [Theory]
    [InlineData("größe", 0, "4:call6:+größe20:2026-03-01T12:00:00Z1:a0:1:b3:1.5")]
    [InlineData("", 250_000, "4:call1:+23:2026-03-01T12:00:00.25Z1:a0:1:b3:1.5")]
    [InlineData(null, 1, "4:call0:27:2026-03-01T12:00:00.000001Z1:a0:1:b3:1.5")]
    public void Content_is_hashed_part_after_part_with_their_lengths(string? subject, int microseconds, string text) =>
        UsageLeaf.ContentHash(
                "call", subject, Instant.FromUtc(2026, 3, 1, 12, 0) + Duration.FromNanoseconds(microseconds * 1_000L + 999),
                new Dictionary<string, string> { ["b"] = "1.50", ["a"] = "" })
            .ShouldBe(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    [Fact]
    public void The_hashed_text_of_a_leaf_is_as_approved() => Approve.Text(
        UsageLeaf.CanonicalText("isv/acme", "call-1", Content(Reported), billedBefore: true, [Amended, Voided]) + "\n",
        "usage-leaf.v1.txt");

    [Fact]
    public void A_proof_of_the_reported_event_holds() => Proved.Proof.Verify(Reported, Proved.Invoice).ShouldBeNull();

    [Fact]
    public void The_same_event_written_otherwise_holds_too()
    {
        const string another = """
            {"specversion":"1.0","id":"call-1","source":"isv/acme","type":"inference.call","subject":"job/1",
             "time":"2026-01-31T13:00:00.0000009+01:00","data":{"model":"gr\u00f6\u00dfe","calls":"12.5"}}
            """;

        Proved.Proof.Verify(Read<ReportedUsage>(another), Proved.Invoice).ShouldBeNull();
    }

    [Fact]
    public void Any_changed_byte_of_the_event_is_seen() =>
        EachChangedByte(Reported, changed => Proved.Proof.Verify(changed, Proved.Invoice));

    [Fact]
    public void Any_changed_byte_of_the_proof_is_seen() =>
        EachChangedByte(Proved.Proof, changed => changed.Verify(Reported, Proved.Invoice));

    [Fact]
    public void Any_changed_byte_of_the_invoices_tree_is_seen() =>
        EachChangedByte(Proved.Invoice.UsageTree!, changed => Proved.Proof.Verify(Reported, Proved.Invoice with { UsageTree = changed }));

    public static TheoryData<string, Func<UsageProof, UsageProof>> Changes => new()
    {
        { "invoice_differs", proof => proof with { InvoiceId = InvoiceId.New() } },
        { "size_differs", proof => proof with { TreeSize = 12 } },
        { "root_differs", proof => proof with { Root = new('0', 64) } },
        { "event_differs", proof => proof with { EventId = "call-2" } },
        { "event_differs", proof => proof with { Source = "isv/other" } },
        { "leaf_differs", proof => proof with { Leaf = new('0', 64) } },
        { "leaf_differs", proof => proof with { BilledBefore = true } },
        { "leaf_differs", proof => proof with { Corrections = [] } },
        { "leaf_differs", proof => proof with { Corrections = [Amended] } },
        { "leaf_differs", proof => proof with { Corrections = [Voided, Amended] } },
        { "leaf_differs", proof => proof with { Corrections = [Amended, Voided with { After = new Dictionary<string, string>() }] } },
        { "part_differs", proof => proof with { Part = proof.Part with { Type = "storage.gib" } } },
        { "part_differs", proof => proof with { Part = proof.Part with { Hour = proof.Part.Hour + Duration.FromHours(1) } } },
        { "path_broken", proof => proof with { Part = proof.Part with { Size = 12 } } },
        { "path_broken", proof => proof with { PartIndex = 0 } },
        { "path_broken", proof => proof with { PartCount = 4 } },
        { "path_broken", proof => proof with { PartPath = [.. proof.PartPath.Skip(1)] } },
        { "path_broken", proof => proof with { PartPath = proof.AuditPath } },
        { "path_broken", proof => proof with { Index = 4 } },
        { "path_broken", proof => proof with { Index = -1 } },
        { "path_broken", proof => proof with { AuditPath = [.. proof.AuditPath.Reverse()] } },
        { "path_broken", proof => proof with { AuditPath = [.. proof.AuditPath.Skip(1)] } },
        { "path_broken", proof => proof with { AuditPath = [.. proof.AuditPath.Select(hash => hash.ToUpperInvariant())] } },
        { "path_broken", proof => proof with { AuditPath = [.. proof.AuditPath, "?"] } },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public void A_changed_proof_is_told_with_its_fault(string code, Func<UsageProof, UsageProof> change) =>
        change(Proved.Proof).Verify(Reported, Proved.Invoice).ShouldNotBeNull().Code.ShouldBe(code);

    [Fact]
    public void A_draft_proves_nothing() =>
        Proved.Proof.Verify(Reported, Proved.Invoice with { UsageTree = null }).ShouldNotBeNull().Code.ShouldBe("invoice_open");

    [Fact]
    public void An_event_that_is_not_in_the_tree_has_no_proof_even_with_the_leaf_made_for_it()
    {
        var foreign = Reported with { Id = "foreign" };
        var leaf = UsageLeaf.Hash(foreign.Source, foreign.Id, Content(foreign), billedBefore: false, []);
        var forged = Proved.Proof with { EventId = foreign.Id, Corrections = [], Leaf = Convert.ToHexStringLower(leaf) };

        forged.Verify(foreign, Proved.Invoice).ShouldNotBeNull().Code.ShouldBe("path_broken");
    }

    [Fact]
    public void No_two_contents_are_written_alike()
    {
        byte[][] contents =
        [
            Content(Reported),
            Content(Reported with { Subject = null }),
            Content(Reported with { Subject = "" }),
            Content(Reported with { Subject = "+job/1" }),
            Content(Reported with { Data = new Dictionary<string, string>() }),
            Content(Reported with { Data = new Dictionary<string, string> { ["calls"] = "12.5", ["model"] = "5:größe" } }),
            Content(Reported with { Data = new Dictionary<string, string> { ["calls4:12.55:model5:größe"] = "" } }),
            Content(Reported with { Time = Reported.Time + Duration.FromTicks(10) }),
        ];

        contents.Select(Convert.ToHexStringLower).ShouldBeUnique();
    }

    [Theory]
    [InlineData("""{"source":"a","source":"b","id":"1","type":"t","time":"2026-01-31T12:00:00Z","data":{}}""")]
    [InlineData("""{"source":"a","id":"1","type":"t","time":"2026-01-31T12:00:00Z","data":{"n":"1","n":"2"}}""")]
    [InlineData("""{"source":"a","id":"1","type":"t","time":"2026-01-31T12:00:00Z","Data":{}}""")]
    [InlineData("""{"source":"a","id":"1","type":"t","time":"2026-01-31T12:00:00Z","data":{"n":1}}""")]
    public void What_could_be_read_in_two_ways_is_not_read(string json) => Should.Throw<JsonException>(() => Read<ReportedUsage>(json));

    // Every byte: either nobody can read it any more, or it does not verify.
    private static void EachChangedByte<T>(T original, Func<T, UsageProofFault?> verify)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(original, ContractsJson.Strict);
        verify(JsonSerializer.Deserialize<T>(json, ContractsJson.Strict)!).ShouldBeNull();
        for (var i = 0; i < json.Length; i++)
        {
            byte[] changed = [.. json];
            changed[i] ^= 1;
            try
            {
                verify(JsonSerializer.Deserialize<T>(changed, ContractsJson.Strict)!)
                    .ShouldNotBeNull($"byte {i}: {Encoding.UTF8.GetString(changed)}");
            }
            catch (JsonException)
            {
            }
        }
    }

    private static (UsageProof, ProvingInvoice) Prove(int index, int size, IReadOnlyList<CountedCorrection> corrections)
    {
        byte[][] hashes =
        [
            .. Enumerable.Range(0, size).Select(number => number == index
                ? UsageLeaf.Hash(Reported.Source, Reported.Id, Content(Reported), billedBefore: false, corrections)
                : UsageLeaf.Hash(Reported.Source, $"other-{number}", Content(Reported), billedBefore: false, [])),
        ];
        // The part of the hour stands between that of another hour and that of another type.
        var part = new UsagePart(Reported.Type, UsagePart.HourOf(Reported.Time), size);
        byte[][] parts =
        [
            new UsagePart(Reported.Type, part.Hour - Duration.FromHours(1), 1).Hash(MerkleTree.Root(hashes)),
            part.Hash(MerkleTree.Root(hashes)),
            new UsagePart("storage.gib", part.Hour, 1).Hash(MerkleTree.Root(hashes)),
        ];
        var root = Convert.ToHexStringLower(UsagePart.Root(size + 2, parts.Length, MerkleTree.Root(parts)));
        return (
            new(
                Samples.Invoice, Reported.Source, Reported.Id, BilledBefore: false, corrections, Convert.ToHexStringLower(hashes[index]),
                part, index, [.. MerkleTree.PathOf(index, hashes).Select(Convert.ToHexStringLower)],
                PartIndex: 1, parts.Length, [.. MerkleTree.PathOf(1, parts).Select(Convert.ToHexStringLower)], size + 2, root),
            new(Samples.Invoice, "2026-000042", new(size + 2, root)));
    }

    private static byte[] Content(ReportedUsage it) => UsageLeaf.ContentHash(it.Type, it.Subject, it.Time, it.Data);

    private static T Read<T>(string json) => JsonSerializer.Deserialize<T>(json, ContractsJson.Strict)!;
}
