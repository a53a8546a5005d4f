using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Platform.EventStore.Tests;

/// <summary>The little domain of these tests: accounts that are opened, credited and closed.</summary>
[JsonDerivedType(typeof(Opened), "account.opened.v1")]
[JsonDerivedType(typeof(Credited), "account.credited.v1")]
[JsonDerivedType(typeof(Closed), "account.closed.v1")]
public abstract record AccountEvent
{
    public sealed record Opened(string Owner) : AccountEvent;
    public sealed record Credited(long Cents) : AccountEvent;
    public sealed record Closed : AccountEvent;
}

/// <summary>A second family, which no projection of these tests folds.</summary>
[JsonDerivedType(typeof(Taken), "note.taken.v1")]
public abstract record NoteEvent
{
    public sealed record Taken(string Text) : NoteEvent;
}

public sealed record AccountState(long Cents, int Events) : IEvolve<AccountState, AccountEvent>
{
    public static AccountState Initial => new(0, 0);

    public static AccountState Evolve(AccountState state, AccountEvent @event) =>
        new(state.Cents + ((@event as AccountEvent.Credited)?.Cents ?? 0), state.Events + 1);
}

public sealed record AccountView(string Owner, long Cents);

public sealed record Balance(long Cents);

public sealed record AccountCredited(Guid AccountId, long Cents);

[JsonSourceGenerationOptions(AllowOutOfOrderMetadataProperties = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(AccountEvent))]
[JsonSerializable(typeof(NoteEvent))]
[JsonSerializable(typeof(AccountView))]
[JsonSerializable(typeof(Balance))]
[JsonSerializable(typeof(AccountCredited))]
public sealed partial class LedgerJson : JsonSerializerContext;

/// <summary>One document per account, gone when the account is closed.</summary>
public class AccountViews : DocumentProjection<AccountView, AccountEvent>
{
    public override string Name => "accounts";
    protected override string Table => "accounts";
    protected override JsonTypeInfo<AccountView> Json => LedgerJson.Default.AccountView;

    protected override AccountView? Fold(AccountView? view, AccountEvent @event, RecordedEvent recorded) => @event switch
    {
        AccountEvent.Opened opened => new(opened.Owner, 0),
        AccountEvent.Credited { Cents: < 0 } => throw new InvalidOperationException("This projection takes no debit."),
        AccountEvent.Credited credited => new(view?.Owner ?? "nobody", (view?.Cents ?? 0) + credited.Cents),
        _ => null,
    };
}

/// <summary>One document per tenant, from all its accounts.</summary>
public sealed class Balances : DocumentProjection<Balance, AccountEvent>
{
    public override string Name => "balances";
    public override ProjectionLifecycle Lifecycle => ProjectionLifecycle.Async;
    protected override string Table => "balances";
    protected override JsonTypeInfo<Balance> Json => LedgerJson.Default.Balance;
    protected override Guid KeyOf(RecordedEvent recorded) => recorded.Stream.TenantId;

    protected override Balance Fold(Balance? view, AccountEvent @event, RecordedEvent recorded) =>
        new((view?.Cents ?? 0) + ((@event as AccountEvent.Credited)?.Cents ?? 0));
}
