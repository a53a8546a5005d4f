using System.Security.Cryptography;
using Platform.Contracts.Messages;
using Platform.Testing;

namespace Platform.Contracts.Tests;

public sealed class UsageChainSpecs : IDisposable
{
    private readonly ECDsa worker = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    private string PublicKey => Convert.ToBase64String(worker.ExportSubjectPublicKeyInfo());

    public void Dispose() => worker.Dispose();

    [Fact]
    public void The_signed_text_is_as_approved() =>
        Approve.Text(UsageChain.CanonicalText(Samples.Usage()), "usage-batch.v1.txt");

    [Fact]
    public void A_whole_chain_holds_in_any_order()
    {
        var chain = Chain(batches: 4);

        UsageChain.Verify(chain, PublicKey).ShouldBeNull();
        UsageChain.Verify(Enumerable.Reverse(chain), PublicKey).ShouldBeNull();
    }

    [Fact]
    public void A_chain_that_lacks_its_end_still_holds() => UsageChain.Verify(Chain(4).Take(2), PublicKey).ShouldBeNull();

    public static TheoryData<string, Func<UsageReported, UsageReported>> Changes => new()
    {
        { "quantity", batch => batch with { Use = batch.Use with { GpuMilliseconds = batch.Use.GpuMilliseconds + 0.001m } } },
        { "calls", batch => batch with { Use = batch.Use with { InferenceCalls = 0 } } },
        { "flavor", batch => batch with { Use = batch.Use with { Flavor = "nvidia-h200" } } },
        { "interval", batch => batch with { To = batch.To + NodaTime.Duration.FromNanoseconds(1) } },
        { "tenant", batch => batch with { TenantId = TenantId.New() } },
        { "job", batch => batch with { JobId = JobId.New() } },
        { "attempt", batch => batch with { AttemptId = AttemptId.New() } },
        { "worker", batch => batch with { WorkerId = WorkerId.New() } },
        { "hash", batch => batch with { Hash = new('0', 64) } },
        { "hash that is none", batch => batch with { Hash = "zz" } },
        { "signature that is none", batch => batch with { Signature = "?" } },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public void A_changed_batch_is_seen(string what, Func<UsageReported, UsageReported> change)
    {
        var chain = Chain(3).ToArray();
        chain[1] = change(chain[1]);

        UsageChain.Verify(chain, PublicKey).ShouldBe(new ChainFault(2, "signature_invalid"), what);
    }

    [Fact]
    public void A_batch_changed_and_hashed_again_without_the_key_is_seen()
    {
        var chain = Chain(3).ToArray();
        var cheaper = chain[1] with { Use = chain[1].Use with { GpuMilliseconds = 1 } };
        chain[1] = cheaper with { Hash = UsageChain.HashOf(cheaper) };

        UsageChain.Verify(chain, PublicKey).ShouldBe(new ChainFault(2, "signature_invalid"));
    }

    [Fact]
    public void A_dropped_batch_is_seen()
    {
        var chain = Chain(4);

        UsageChain.Verify([chain[0], chain[2], chain[3]], PublicKey).ShouldBe(new ChainFault(2, "batch_missing"));
        UsageChain.Verify(chain.Skip(1), PublicKey).ShouldBe(new ChainFault(1, "batch_missing"));
    }

    [Fact]
    public void A_repeated_batch_is_seen()
    {
        var chain = Chain(3);

        UsageChain.Verify([.. chain, chain[1]], PublicKey).ShouldBe(new ChainFault(3, "sequence_repeated"));
    }

    [Fact]
    public void Reordered_batches_are_seen_even_if_the_worker_itself_signed_them()
    {
        var chain = Chain(3);
        var second = UsageChain.Sign(chain[2] with { Sequence = 2 }, worker);
        var third = UsageChain.Sign(chain[1] with { Sequence = 3 }, worker);

        UsageChain.Verify([chain[0], second, third], PublicKey).ShouldBe(new ChainFault(2, "link_broken"));
    }

    [Fact]
    public void A_chain_of_another_key_does_not_hold()
    {
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var foreign = Convert.ToBase64String(other.ExportSubjectPublicKeyInfo());

        UsageChain.Verify(Chain(2), foreign).ShouldBe(new ChainFault(1, "signature_invalid"));
        UsageChain.Verify(Chain(2), "no key").ShouldBe(new ChainFault(1, "signature_invalid"));
    }

    [Fact]
    public void Trailing_zeros_are_not_part_of_a_quantity() =>
        UsageChain.HashOf(Samples.Usage(milliseconds: 1.50m)).ShouldBe(UsageChain.HashOf(Samples.Usage(milliseconds: 1.5m)));

    [Fact]
    public void A_value_cannot_pretend_to_be_another_line()
    {
        var forged = Samples.Usage() with { Use = Samples.Usage().Use with { Flavor = "cpu\ngpu_milliseconds=0" } };

        Should.Throw<FormatException>(() => UsageChain.Sign(forged, worker));
        UsageChain.IsSignedBy(forged, PublicKey).ShouldBeFalse();
    }

    private List<UsageReported> Chain(int batches)
    {
        var chain = new List<UsageReported>();
        for (var sequence = 1; sequence <= batches; sequence++)
            chain.Add(UsageChain.Sign(Samples.Usage(sequence, chain is [.., var last] ? last.Hash : null), worker));
        return chain;
    }
}
