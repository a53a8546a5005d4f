using System.Text;

namespace Platform.EventStore.Tests;

public sealed class IdempotencySpecs : IAsyncLifetime
{
    private static readonly Guid Tenant = Guid.CreateVersion7();
    private static readonly byte[] Body = [1, 2, 3];
    private static readonly StoredResponse Created = new(201, "application/json", "/v1/things/1", Encoding.UTF8.GetBytes("{}"));

    private World world = null!;
    private Process process = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        world = await World.Create();
        process = world.Process();
    }

    public ValueTask DisposeAsync() => world.DisposeAsync();

    [Fact]
    public async Task The_answer_is_given_again_word_for_word()
    {
        (await Claim("a")).ShouldBeOfType<IdempotencyClaim.Claimed>();
        await process.Keys.Complete(Tenant, "a", Created, Cancellation);

        var again = (await Claim("a")).ShouldBeOfType<IdempotencyClaim.Answered>().Response;
        (again with { Body = Created.Body }).ShouldBe(Created);
        again.Body.ShouldBe(Created.Body);
    }

    [Fact]
    public async Task Another_request_under_the_key_is_a_mismatch_even_after_the_answer()
    {
        await Claim("a");
        (await Claim("a", body: [9])).ShouldBeOfType<IdempotencyClaim.Mismatch>();
        await process.Keys.Complete(Tenant, "a", Created, Cancellation);
        (await Claim("a", body: [9])).ShouldBeOfType<IdempotencyClaim.Mismatch>();
    }

    [Fact]
    public async Task Of_many_at_once_one_does_the_work()
    {
        var claims = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Task.Run(() => Claim("a"))));

        claims.OfType<IdempotencyClaim.Claimed>().Count().ShouldBe(1);
        claims.OfType<IdempotencyClaim.InProgress>().Count().ShouldBe(19);
    }

    [Fact]
    public async Task A_key_given_back_is_claimed_again_with_its_request_id()
    {
        var first = (await Claim("a")).ShouldBeOfType<IdempotencyClaim.Claimed>();
        (await Claim("a")).ShouldBeOfType<IdempotencyClaim.InProgress>();
        await process.Keys.Abandon(Tenant, "a", Cancellation);
        (await Claim("a")).ShouldBe(first);
    }

    [Fact]
    public async Task A_key_whose_holder_died_is_claimed_again_after_its_lease_with_its_request_id()
    {
        await using var shortLeases = await World.Create(lease: TimeSpan.FromMilliseconds(1));
        process = shortLeases.Process();

        var first = (await Claim("a")).ShouldBeOfType<IdempotencyClaim.Claimed>();
        await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, Cancellation);
        (await Claim("a")).ShouldBe(first);
    }

    // A lease of a minute: what is left of it, and when to ask again.
    [Theory]
    [InlineData(60, 1)]
    [InlineData(57, 3)]
    [InlineData(40, 20)]
    [InlineData(20, 20)]
    [InlineData(0.5, 1)]
    public void Who_asks_while_it_runs_comes_again_after_as_long_as_it_has_run_or_when_the_lease_ends(double left, int seconds) =>
        IdempotencyClaim.InProgress.Of(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(left)).AskAgainIn.ShouldBe(TimeSpan.FromSeconds(seconds));

    [Fact]
    public async Task Keys_of_different_tenants_have_nothing_to_do_with_each_other()
    {
        await Claim("a");
        (await process.Keys.Claim(Guid.CreateVersion7(), "a", [9], Cancellation)).ShouldBeOfType<IdempotencyClaim.Claimed>();
    }

    private Task<IdempotencyClaim> Claim(string key, byte[]? body = null) =>
        process.Keys.Claim(Tenant, key, body ?? Body, Cancellation);
}
