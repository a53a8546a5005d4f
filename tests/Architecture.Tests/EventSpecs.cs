using System.Diagnostics;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Platform.EventStore;

namespace Platform.Architecture.Tests;

/// <summary>What is stored must stay readable: every event has a permanent name, a sample that is kept, and a state that knows it.</summary>
public partial class EventSpecs
{
    private static readonly Assembly[] processes = [Assembly.Load("Platform.Billing"), Assembly.Load("Platform.Scheduler")];

    public static TheoryData<string, string> Cases => [.. Families().SelectMany(CasesOf).Select(@case => (@case.Name, @case.Type.FullName!))];

    [Fact]
    public void Both_processes_store_events() =>
        processes.ShouldAllBe(process => Families().Any(family => family.Assembly == process));

    [Theory, MemberData(nameof(Cases))]
    public void An_event_has_a_permanent_versioned_name(string name, string type) =>
        PermanentName().IsMatch(name).ShouldBeTrue($"{type} is stored as '{name}', not as 'thing.happened.v1'.");

    [Theory, MemberData(nameof(Cases))]
    public void An_event_has_an_approved_sample(string name, string type) =>
        Repository.Files($"{name}.json", "tests")
            .Where(file => Path.GetFileName(Path.GetDirectoryName(file)) == "approved")
            .ShouldNotBeEmpty($"{type} has no approved/{name}.json beside a test: nothing would notice that its stored form changed.");

    [Theory, MemberData(nameof(Cases))]
    public void Every_state_of_a_family_knows_each_of_its_events(string name, string type)
    {
        var @event = processes.Select(process => process.GetType(type)).Single(found => found is not null)!;
        var states = StatesFor(@event).ToList();

        states.ShouldNotBeEmpty($"No state folds {name}.");
        foreach (var state in states)
            Knows(state, @event).ShouldBeTrue($"{state.FullName}.Evolve does not know {name}.");
    }

    [Fact]
    public void No_two_events_of_a_process_share_a_name()
    {
        foreach (var process in processes)
        {
            Families().Where(family => family.Assembly == process).SelectMany(CasesOf)
                .GroupBy(@case => @case.Name)
                .Where(name => name.Count() > 1)
                .Select(name => name.Key)
                .ShouldBeEmpty();
        }
    }

    // A family is what some state evolves by; other polymorphic records (charges, job specifications) are not stored as events.
    private static IEnumerable<Type> Families() =>
        States().SelectMany(EventsOf).Distinct().Where(family => family.GetCustomAttributes<JsonDerivedTypeAttribute>().Any());

    private static IEnumerable<(string Name, Type Type)> CasesOf(Type family) =>
        family.GetCustomAttributes<JsonDerivedTypeAttribute>().Select(@case => ((string)@case.TypeDiscriminator!, @case.DerivedType));

    private static IEnumerable<Type> States() =>
        processes.SelectMany(process => process.GetTypes()).Where(type => !type.IsAbstract && !type.ContainsGenericParameters && EventsOf(type).Any());

    private static IEnumerable<Type> EventsOf(Type state) =>
        state.GetInterfaces()
            .Where(@interface => @interface.IsGenericType && @interface.GetGenericTypeDefinition() == typeof(IEvolve<,>))
            .Select(@interface => @interface.GetGenericArguments()[1]);

    private static IEnumerable<Type> StatesFor(Type @event) =>
        States().Where(state => EventsOf(state).Any(family => family.IsAssignableFrom(@event)));

    // Only "I do not know this" counts: an event without content may well break the arithmetic of an arm that knows it.
    private static bool Knows(Type state, Type @event)
    {
        var family = EventsOf(state).First(family => family.IsAssignableFrom(@event));
        var evolve = typeof(EventSpecs).GetMethod(nameof(Evolve), BindingFlags.NonPublic | BindingFlags.Static)!.MakeGenericMethod(state, family);
        try
        {
            evolve.Invoke(null, [RuntimeHelpers.GetUninitializedObject(@event)]);
            return true;
        }
        catch (TargetInvocationException error)
        {
            return error.InnerException is not UnreachableException;
        }
    }

    private static void Evolve<TState, TEvent>(TEvent @event) where TState : IEvolve<TState, TEvent> =>
        TState.Evolve(TState.Initial, @event);

    [GeneratedRegex(@"^[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)+\.v[1-9][0-9]*$")]
    private static partial Regex PermanentName();
}
