using System.Collections;
using System.Runtime.CompilerServices;

namespace Platform.EventStore;

/// <summary>State that is nothing but the fold of its own events.</summary>
public interface IEvolve<TSelf, in TEvent> where TSelf : IEvolve<TSelf, TEvent>
{
    static abstract TSelf Initial { get; }
    static abstract TSelf Evolve(TSelf state, TEvent @event);
}

/// <summary>
/// What a feature decided: the events that now happened, or the rule that forbids them.
/// Write <c>return [new InvoiceFinalized(...)];</c>, <c>return [];</c> when there is nothing left to do,
/// or <c>return Refusal.Because(...)</c>.
/// </summary>
[CollectionBuilder(typeof(Decision), nameof(Decision.Accept))]
public sealed record Decision<TEvent> : IEnumerable<TEvent>
{
    public required IReadOnlyList<TEvent> Events { get; init; }
    public Refusal? Refusal { get; init; }

    public static implicit operator Decision<TEvent>(Refusal refusal) => new() { Events = [], Refusal = refusal };

    public IEnumerator<TEvent> GetEnumerator() => Events.GetEnumerator();
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

public static class Decision
{
    public static Decision<TEvent> Accept<TEvent>(ReadOnlySpan<TEvent> events) => new() { Events = events.ToArray() };
}

/// <summary>
/// A business rule said no. <see cref="Code"/> is part of the public API; the text is for people. <see cref="Field"/> names
/// the input field that is wrong, where one is.
/// </summary>
public sealed record Refusal(string Code, string Reason)
{
    public string? Field { get; init; }

    public static Refusal Because(string code, string reason, string? field = null) => new(code, reason) { Field = field };
}

public static class Fold
{
    public static TState After<TState, TEvent>(TState state, IEnumerable<TEvent> events)
        where TState : IEvolve<TState, TEvent> =>
        events.Aggregate(state, TState.Evolve);
}
