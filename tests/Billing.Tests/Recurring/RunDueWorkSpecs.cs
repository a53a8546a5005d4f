using System.Collections.Concurrent;
using Microsoft.Extensions.Logging.Abstractions;
using NodaTime;
using Platform.Billing.Recurring;
using Platform.Billing.Tests.Http;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Tests.Recurring;

/// <summary>In what order work that is due is done, and that a failure is one tenant's alone.</summary>
public sealed class RunDueWorkSpecs
{
    private static readonly Instant now = Instant.FromUtc(2026, 3, 1, 0, 0);
    private static readonly TenantId ada = TenantId.New(), ben = TenantId.New();

    private readonly ConcurrentQueue<(string Work, TenantId Tenant)> done = [];

    [Fact]
    public async Task One_kind_of_work_is_done_for_all_before_the_next()
    {
        var made = await Run(now, [new Work("first", done, ada, ben), new Work("second", done, ada)]);

        done.Take(2).ShouldBe([("first", ada), ("first", ben)], ignoreOrder: true);
        done.Skip(2).ShouldBe([("second", ada)]);
        made.ShouldBe(3);
    }

    [Fact]
    public async Task A_tenants_failure_keeps_neither_others_nor_its_other_work()
    {
        await Should.ThrowAsync<AggregateException>(
            () => Run(now, [new Work("first", done, ada, ben) { FailsFor = ada }, new Work("second", done, ada)]));

        done.ShouldBe([("first", ben), ("second", ada)]);
    }

    [Fact]
    public async Task In_a_group_that_fails_each_is_done_by_itself()
    {
        var eve = TenantId.New();

        await Should.ThrowAsync<AggregateException>(
            () => Run(now, [new Work("first", done, ada, ben, eve) { FailsFor = ben, GroupSize = 3 }]));

        done.ShouldBe([("first", ada), ("first", eve)]);
    }

    [Fact]
    public async Task Pages_are_read_to_the_end()
    {
        var tenants = Enumerable.Range(0, 2_001).Select(_ => TenantId.New()).ToArray();

        (await Run(now, [new Work("first", done, tenants)])).ShouldBe(2_001);
    }

    [Theory]
    [InlineData(-1, -1)]
    [InlineData(0, 0)]
    [InlineData(1, 0)]
    public async Task Nothing_is_done_before_its_time_whatever_the_senders_clock_says(int senderAheadDays, int doneAtDays)
    {
        var work = new Work("first", done, ada);

        await Run(now + Duration.FromDays(senderAheadDays), [work]);

        work.AsOf.ShouldBe(now + Duration.FromDays(doneAtDays));
    }

    private static Task<int> Run(Instant asOf, IDueWork[] works) =>
        new RunDueWork(works, new StandingClock(now), NullLogger<RunDueWork>.Instance).Run(asOf, Cause.Unknown, BillingHost.Cancellation);

    private sealed class Work(string name, ConcurrentQueue<(string, TenantId)> done, params TenantId[] tenants) : IDueWork
    {
        private readonly List<DueTenant> due = [.. tenants.Select(tenant => new DueTenant(now, tenant))];

        public string Name => name;

        public TenantId? FailsFor { get; init; }

        public int GroupSize { get; init; } = 1;

        public Instant? AsOf { get; private set; }

        public Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
            Task.FromResult<IReadOnlyList<DueTenant>>([.. due.Skip(after is null ? 0 : due.IndexOf(after) + 1).Take(limit)]);

        public Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation) => Task.FromResult<Instant?>(now);

        public IEnumerable<IReadOnlyList<TenantId>> Groups(IEnumerable<TenantId> tenants) => tenants.Chunk(GroupSize);

        // All or nothing, like a transaction.
        public async Task<int> Do(IReadOnlyList<TenantId> group, Instant asOf, Cause cause, CancellationToken cancellation)
        {
            if (group.Count > 1 && FailsFor is { } failing && group.Contains(failing))
                throw new InvalidOperationException("On purpose, all of it.");
            var count = 0;
            foreach (var tenant in group)
                count += await Do(tenant, asOf, cause, cancellation);
            return count;
        }

        public Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation)
        {
            AsOf = asOf;
            if (tenant == FailsFor)
                throw new InvalidOperationException("On purpose.");
            done.Enqueue((name, tenant));
            return Task.FromResult(1);
        }
    }
}
