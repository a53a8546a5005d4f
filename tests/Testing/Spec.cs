using Platform.EventStore;

namespace Platform.Testing;

/// <summary>Given these events, when this feature decides, then these events, or this refusal, and nothing else.</summary>
public sealed class Spec<TState, TEvent> where TState : IEvolve<TState, TEvent>
{
    private readonly TState state;
    private Decision<TEvent>? decision;

    private Spec(TState state) => this.state = state;

    public static Spec<TState, TEvent> Given(params ReadOnlySpan<TEvent> history) =>
        new(Fold.After(TState.Initial, history.ToArray()));

    public Spec<TState, TEvent> When(Func<TState, Decision<TEvent>> decide)
    {
        decision = decide(state);
        return this;
    }

    public void Then(params TEvent[] expected)
    {
        Decided.Refusal.ShouldBeNull();
        Decided.Events.ShouldBe(expected);
    }

    public void ThenNothing() => Then();

    public void ThenRefused(string code)
    {
        Decided.Events.ShouldBeEmpty();
        (Decided.Refusal?.Code).ShouldBe(code);
    }

    private Decision<TEvent> Decided => decision ?? throw new InvalidOperationException("Call When first.");
}
