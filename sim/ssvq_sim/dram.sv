// AXI4 memory of the bench: in order, up to 64 bursts open in each direction, at a settable pace.
//
// Reads answer `latency` cycles after the earliest possible cycle. Reads and writes share `bytes_per_cycle`, which is
// a power of two up to a beat. A write reaches the memory when its response is given. `stall_*` / 256 is the
// probability that a channel pauses in a cycle; `hang` stops channels altogether. Accesses outside the memory, and
// in the fault windows, are answered with an error.
module dram #(
    parameter int ADDR_WIDTH = 40,
    parameter int DATA_WIDTH = 64,
    parameter int WINDOWS = 4
) (
    input  logic                    clk,
    input  logic                    rstn,
    input  logic [63:0]             base,
    input  logic [63:0]             size,
    input  logic [15:0]             latency,
    input  logic [7:0]              bytes_per_cycle,
    input  logic [31:0]             seed,
    input  logic [7:0]              stall_ar,
    input  logic [7:0]              stall_r,
    input  logic [7:0]              stall_aw,
    input  logic [7:0]              stall_w,
    input  logic [7:0]              stall_b,
    input  logic [4:0]              hang,  // B, W, AW, R, AR
    input  logic [WINDOWS*64-1:0]   fault_first,
    input  logic [WINDOWS*64-1:0]   fault_last,
    input  logic [WINDOWS*2-1:0]    fault_response,
    input  logic [WINDOWS-1:0]      fault_reads,
    input  logic [WINDOWS-1:0]      fault_writes,
    output logic [31:0]             read_beats,
    output logic [31:0]             write_beats,
    input  logic                    arvalid,
    output logic                    arready,
    input  logic [ADDR_WIDTH-1:0]   araddr,
    input  logic [7:0]              arlen,
    output logic                    rvalid,
    input  logic                    rready,
    output logic [DATA_WIDTH-1:0]   rdata,
    output logic [1:0]              rresp,
    output logic                    rlast,
    input  logic                    awvalid,
    output logic                    awready,
    input  logic [ADDR_WIDTH-1:0]   awaddr,
    input  logic                    wvalid,
    output logic                    wready,
    input  logic [DATA_WIDTH-1:0]   wdata,
    input  logic [DATA_WIDTH/8-1:0] wstrb,
    input  logic                    wlast,
    output logic                    bvalid,
    input  logic                    bready,
    output logic [1:0]              bresp
);
  import "DPI-C" function void dram_read(
    input longint offset, input int beat_bytes, output bit [DATA_WIDTH-1:0] data);
  import "DPI-C" function void dram_write(
    input longint offset, input int beat_bytes, input bit [DATA_WIDTH-1:0] data, input longint strobes, input bit last);
  import "DPI-C" function void dram_commit();
  import "DPI-C" function void dram_reset();

  localparam bit [63:0] Beat = 64'(DATA_WIDTH / 8);
  localparam bit [7:0] BeatBytes = 8'(DATA_WIDTH / 8);
  localparam int Depth = 64;
  localparam bit [6:0] Room = 7'(Depth - 1);
  localparam bit [1:0] Okay = 2'b00, DecodeError = 2'b11;
  typedef bit [$clog2(Depth)-1:0] slot_t;

  bit [31:0] cycle;
  bit [63:0] random;
  bit [7:0] tokens;
  bit write_turn;

  // Open reads: slots from `ar_head`, `ar_count` of them.
  bit [63:0] ar_addr[Depth];
  bit [7:0] ar_left[Depth];
  bit [31:0] ar_time[Depth];
  slot_t ar_head;
  bit [6:0] ar_count;
  // Open writes: first those whose data is still to come, then those that wait for their response.
  bit [63:0] aw_addr[Depth];
  slot_t aw_head;
  bit [6:0] aw_count;
  bit [1:0] write_worst;
  bit [1:0] b_response[Depth];
  bit [31:0] b_time[Depth];
  slot_t b_head;
  bit [6:0] b_count;

  function automatic bit [1:0] response_of(input bit [63:0] addr, input bit is_write);
    bit [63:0] offset = addr - base;
    if (addr < base || offset + Beat > size) return DecodeError;
    for (int i = 0; i < WINDOWS; i++)
      if ((is_write ? fault_writes[i] : fault_reads[i])
          && addr + Beat > fault_first[64*i+:64] && addr <= fault_last[64*i+:64]) return fault_response[2*i+:2];
    return Okay;
  endfunction

  function automatic bit [63:0] next_random(input bit [63:0] x);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
  endfunction

  bit [7:0] budget;
  bit read_wants, write_wants, write_first;
  bit [1:0] response;
  bit [DATA_WIDTH-1:0] beat;
  slot_t tail;

  // One process, in blocking order: what a channel finishes in this cycle makes room for what it offers next.
  always @(posedge clk) begin
    cycle <= cycle + 1;
    if (!rstn) begin
      random <= {seed, ~seed} | 64'd1;
      {arready, rvalid, awready, wready, bvalid} <= '0;
      {ar_head, ar_count, aw_head, aw_count, b_head, b_count} = '0;
      {tokens, write_turn, write_worst, read_beats, write_beats} <= '0;
      dram_reset();
    end else begin
      if ((stall_ar | stall_r | stall_aw | stall_w | stall_b) != 0) random <= next_random(random);
      budget = tokens >= BeatBytes - bytes_per_cycle ? BeatBytes : tokens + bytes_per_cycle;

      // Addresses
      if (arvalid && arready) begin
        tail = ar_head + slot_t'(ar_count);
        ar_addr[tail] = 64'(araddr);
        ar_left[tail] = arlen;
        ar_time[tail] = cycle + 32'(latency);
        ar_count++;
      end
      arready <= ar_count < Room && random[7:0] >= stall_ar && !hang[0];
      if (awvalid && awready) begin
        tail = aw_head + slot_t'(aw_count);
        aw_addr[tail] = 64'(awaddr);
        aw_count++;
      end
      awready <= aw_count < Room && random[15:8] >= stall_aw && !hang[2];

      // Data that was taken
      if (wvalid && wready) begin
        response = response_of(aw_addr[aw_head], 1'b1);
        if (write_worst > response) response = write_worst;
        dram_write(longint'(aw_addr[aw_head] - base), int'(BeatBytes), wdata, response == Okay ? longint'(64'(wstrb)) : 0, wlast);
        aw_addr[aw_head] += Beat;
        write_worst <= wlast ? Okay : response;
        write_beats <= write_beats + 1;
        if (wlast) begin
          tail = b_head + slot_t'(b_count);
          b_response[tail] = response;
          b_time[tail] = cycle + 32'(latency);
          b_count++;
          aw_head++;
          aw_count--;
        end
      end
      if (rvalid && rready) begin
        rvalid <= 1'b0;
        read_beats <= read_beats + 1;
      end

      // Who may move the next beat
      read_wants = (!rvalid || rready) && ar_count != 0 && signed'(cycle - ar_time[ar_head]) >= 0
          && random[23:16] >= stall_r && !hang[1];
      write_wants = (!wready || wvalid) && aw_count != 0 && b_count < Room
          && random[31:24] >= stall_w && !hang[3];
      write_first = write_wants && (write_turn || !read_wants);
      if (wvalid || hang[3]) wready <= 1'b0;
      if (budget >= BeatBytes && write_first) begin
        wready <= 1'b1;
        budget -= BeatBytes;
        write_turn <= 1'b0;
      end else if (budget >= BeatBytes && read_wants) begin
        dram_read(longint'(ar_addr[ar_head] - base), int'(BeatBytes), beat);
        rvalid <= 1'b1;
        rdata <= beat;
        rresp <= response_of(ar_addr[ar_head], 1'b0);
        rlast <= ar_left[ar_head] == 0;
        ar_addr[ar_head] += Beat;
        if (ar_left[ar_head] == 0) begin
          ar_head++;
          ar_count--;
        end else ar_left[ar_head]--;
        budget -= BeatBytes;
        write_turn <= 1'b1;
      end
      tokens <= budget;

      // Responses
      if (bvalid && bready) bvalid <= 1'b0;
      if ((!bvalid || bready) && b_count != 0 && signed'(cycle - b_time[b_head]) >= 0
          && random[39:32] >= stall_b && !hang[4]) begin
        dram_commit();
        bvalid <= 1'b1;
        bresp <= b_response[b_head];
        b_head++;
        b_count--;
      end
    end
  end
endmodule
