namespace Platform.ServiceDefaults.Tests;

public class PagesSpecs
{
    private static readonly IReadOnlyList<Guid> Ids = [.. Enumerable.Range(1, 5).Select(i => new Guid(i, 0, 7, new byte[8]))];

    [Fact]
    public void Following_the_cursor_reads_every_row_once()
    {
        var read = new List<Guid>();
        string? cursor = null;
        do
        {
            var query = new PageQuery(Limit: 2, cursor);
            var page = query.Of([.. Ids.Where(id => query.After is not { } after || id.CompareTo(after) > 0).Take(query.Size + 1)], id => id);
            read.AddRange(page.Items);
            cursor = page.NextCursor;
        }
        while (cursor is not null);

        read.ShouldBe(Ids);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(201)]
    [InlineData(-1)]
    public void A_limit_out_of_range_names_the_field(int limit) =>
        Should.Throw<InvalidRequestException>(() => new PageQuery(limit, null).Size).Errors.Keys.ShouldBe(["limit"]);

    [Theory]
    [InlineData("")]
    [InlineData("nonsense")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("!!!")]
    public void A_made_up_cursor_names_the_field(string cursor) =>
        Should.Throw<InvalidRequestException>(() => new PageQuery(null, cursor).After).Errors.Keys.ShouldBe(["cursor"]);
}
