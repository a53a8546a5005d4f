using System.Reflection;
using System.Reflection.Emit;

namespace Platform.Architecture.Tests;

/// <summary>
/// Rating, billing periods and placement take values and return values, so that an invoice can be made again from its
/// events and a plan can be tried on a copy of the fleet.
/// </summary>
public class PureCoreSpecs
{
    private static readonly string[] outside =
    [
        "System.IO", "System.Net", "System.Data", "System.Diagnostics.Process", "System.Environment", "System.TimeProvider",
        "System.Random", "System.Security.Cryptography", "System.Threading", "NodaTime.SystemClock", "NodaTime.IClock", "Npgsql",
        "MassTransit", "Quartz", "Microsoft.AspNetCore", "Microsoft.Extensions", "Platform.ServiceDefaults",
        "Platform.EventStore.EventStore", "Platform.EventStore.Documents", "Platform.EventStore.EventTransaction",
    ];

    public static TheoryData<string> Areas =>
    [
        "Billing.Rating", "Billing.Coupons.ApplyCoupons", "Billing.Taxes.ComputeTax", "Billing.Ledger.Postings", "Billing.Wallets.BurnDown",
        "Billing.Subscriptions.BillingPeriods", "Billing.Revenue.RecurringRevenue", "Billing.Revenue.RecurringSubscription",
        "Scheduler.Placement", "Scheduler.Fleet.Judgement",
    ];

    [Theory, MemberData(nameof(Areas))]
    public void The_pure_core_reaches_no_clock_no_database_and_no_network(string area)
    {
        var types = TypesOf(area);
        types.ShouldNotBeEmpty($"{area} is gone; give the pure core its new name here.");

        types.SelectMany(type => Reached(type).Select(reached => (type, reached)))
            .Where(use => outside.Any(name => IsOrIsUnder(use.reached.FullName ?? "", name)))
            .Select(use => $"{use.type.FullName} reaches {use.reached.Namespace}.{use.reached.Name}")
            .Distinct()
            .ShouldBeEmpty();
    }

    // The scanner itself: a reader of IL that finds nothing would let everything pass.
    [Fact]
    public void The_scan_sees_what_a_method_body_touches() =>
        Reached(typeof(Repository)).ShouldContain(typeof(File));

    private static List<Type> TypesOf(string area)
    {
        var assembly = area.StartsWith("Billing", StringComparison.Ordinal) ? Assembly.Load("Platform.Billing") : Assembly.Load("Platform.Scheduler");
        return [.. assembly.GetTypes().Where(type => IsOrIsUnder(type.FullName!, $"Platform.{area}"))];
    }

    private static bool IsOrIsUnder(string name, string prefix) =>
        name.StartsWith(prefix, StringComparison.Ordinal) && (name.Length == prefix.Length || name[prefix.Length] is '.' or '+' or '`');

    private static IEnumerable<Type> Reached(Type type)
    {
        const BindingFlags own = BindingFlags.DeclaredOnly | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance;

        var methods = type.GetMethods(own).Cast<MethodBase>().Concat(type.GetConstructors(own)).ToList();
        return type.GetFields(own).Select(field => field.FieldType)
            .Concat(methods.SelectMany(Signature))
            .Concat(methods.SelectMany(Body))
            .SelectMany(WithArguments)
            .Distinct();
    }

    private static IEnumerable<Type> Signature(MethodBase method) =>
        method.GetParameters().Select(parameter => parameter.ParameterType)
            .Concat(method is MethodInfo { ReturnType: var returned } ? [returned] : []);

    private static IEnumerable<Type> Body(MethodBase method)
    {
        if (method.GetMethodBody() is not { } body || body.GetILAsByteArray() is not { } code)
            yield break;

        foreach (var variable in body.LocalVariables)
            yield return variable.LocalType;

        var typeArguments = method.DeclaringType is { IsGenericType: true } generic ? generic.GetGenericArguments() : null;
        var methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : null;
        foreach (var token in Tokens(code))
        {
            switch (method.Module.ResolveMember(token, typeArguments, methodArguments))
            {
                case Type type:
                    yield return type;
                    break;
                case MethodInfo { Name: "get_CurrentManagedThreadId" }: // asked by the compiler's own code in every iterator
                    break;
                case { DeclaringType: { } declaring } member:
                    yield return declaring;
                    if (member is MethodInfo { ReturnType: var returned })
                        yield return returned;
                    break;
            }
        }
    }

    private static IEnumerable<int> Tokens(byte[] code)
    {
        for (var at = 0; at < code.Length;)
        {
            var opcode = code[at] == 0xFE ? twoBytes[code[at + 1]] : oneByte[code[at]];
            at += opcode.Size;
            switch (opcode.OperandType)
            {
                case OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType:
                    yield return BitConverter.ToInt32(code, at);
                    at += 4;
                    break;
                case OperandType.InlineNone:
                    break;
                case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar:
                    at += 1;
                    break;
                case OperandType.InlineVar:
                    at += 2;
                    break;
                case OperandType.InlineI8 or OperandType.InlineR:
                    at += 8;
                    break;
                case OperandType.InlineSwitch:
                    at += 4 + 4 * BitConverter.ToInt32(code, at);
                    break;
                default:
                    at += 4;
                    break;
            }
        }
    }

    private static IEnumerable<Type> WithArguments(Type type)
    {
        var element = type.HasElementType ? type.GetElementType()! : type;
        return element.IsGenericType ? element.GetGenericArguments().SelectMany(WithArguments).Prepend(element) : [element];
    }

    private static readonly Dictionary<int, OpCode> oneByte = Opcodes(size: 1);
    private static readonly Dictionary<int, OpCode> twoBytes = Opcodes(size: 2);

    private static Dictionary<int, OpCode> Opcodes(int size) =>
        typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
            .Select(field => (OpCode)field.GetValue(null)!)
            .Where(opcode => opcode.Size == size)
            .ToDictionary(opcode => opcode.Value & 0xFF);
}
